import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pc from 'picocolors'
import pino from 'pino'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { AccessService, SecretBox, StepSecrets, secretEndpoints } from '../access/index.ts'
import { createHttpApp, mountEndpoints } from '../compose/http/app.ts'
import { type Db, openDatabase } from '../db/index.ts'
import { createClient } from '../kernel/client.ts'
import { isAppError } from '../kernel/errors.ts'
import type { CliContext } from './context.ts'
import { removeOne, secrets, setOne } from './secrets.ts'

const clock = { now: () => 1_760_000_000_000, sleep: async () => {} }
let db: Db
let folder: string
let app: ReturnType<typeof createHttpApp>
let kept: StepSecrets
let context: CliContext
let out: string

beforeAll(async () => {
  db = await openDatabase(':memory:')
  folder = mkdtempSync(join(tmpdir(), 'mw-secrets-'))
  const access = new AccessService({ db, clock, ownerTokenPath: join(folder, 'owner.token') })
  await access.prepareOwnerToken()
  const token = (await import('../access/owner-token.ts')).ownerTokenAt(join(folder, 'owner.token'))
  kept = new StepSecrets({ db, clock, box: new SecretBox(randomBytes(32)), variable: () => undefined })
  const log = pino({ level: 'silent' })
  const authenticate = (header: string | undefined) => access.authenticate(header)
  app = createHttpApp({ log, loopback: true, allowedHosts: [], authenticate })
  mountEndpoints(app, secretEndpoints(kept))
  const baseUrl = await app.listen({ port: 0, host: '127.0.0.1' })
  context = {
    io: {
      out: (text: string) => {
        out += text
      },
      err: () => {},
      isTty: false,
      color: pc.createColors(false),
      json: false,
    },
    client: async () => createClient({ baseUrl, token }),
    project: async () => 'one',
    now: clock.now,
  } as unknown as CliContext
})
beforeEach(() => {
  out = ''
})
afterAll(async () => {
  await app.close()
  await db.destroy()
  rmSync(folder, { recursive: true })
})

it('sets a secret for the project from what is typed or piped, without its line end, and shows names only', async () => {
  await setOne(context, 'HF_TOKEN', {}, async () => 'very secret\n')
  await setOne(context, 'EVERY', { everywhere: true }, async () => 'for all of them')
  expect(await kept.valuesFor('one', ['HF_TOKEN', 'EVERY'], 's')).toEqual({
    HF_TOKEN: 'very secret',
    EVERY: 'for all of them',
  })
  await secrets(context)
  expect(out).toMatch(/SECRET +PROJECT +SET BY +SET/)
  expect(out).toMatch(/HF_TOKEN +one +owner/)
  expect(out).toMatch(/EVERY +every +owner/)
  expect(out).not.toMatch(/very secret|for all of them/)
})

it('forgets one, and says what is not there', async () => {
  await removeOne(context, 'EVERY', { everywhere: true })
  expect(out).toBe('EVERY is forgotten.\n')
  await expect(removeOne(context, 'EVERY', {})).rejects.toSatisfy((error) => isAppError(error, 'NotFound'))
})

it('refuses an empty value and a name that is no variable', async () => {
  await expect(setOne(context, 'A', {}, async () => '\n')).rejects.toSatisfy((error) => isAppError(error, 'BadRequest'))
  await expect(setOne(context, 'no-name', {}, async () => 'value')).rejects.toSatisfy((e) =>
    isAppError(e, 'BadRequest'),
  )
})
