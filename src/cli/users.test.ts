import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pc from 'picocolors'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AccessService, userEndpoints } from '../access/index.ts'
import { createHttpApp, mountEndpoints } from '../compose/http/app.ts'
import { type Db, openDatabase } from '../db/index.ts'
import { createClient } from '../kernel/client.ts'
import type { CliContext } from './context.ts'
import { addOne, issueToken, removeOne, revokeOne, setAdmin, setPassword, users, userTokens } from './users.ts'

const clock = { now: () => 1_760_000_000_000, sleep: async () => {} }
const basic = (name: string, secret: string) => `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`

describe('the users command', () => {
  let db: Db
  let folder: string
  let access: AccessService
  let app: ReturnType<typeof createHttpApp>
  let url: string
  let token: string
  let out: string
  let err: string

  beforeEach(async () => {
    db = await openDatabase(':memory:')
    folder = mkdtempSync(join(tmpdir(), 'mw-users-'))
    access = new AccessService({
      db,
      clock,
      ownerTokenPath: join(folder, 'owner.token'),
      passwordCost: { N: 2, r: 1, p: 1 },
    })
    await access.prepareOwnerToken()
    token = (await import('../access/owner-token.ts')).ownerTokenAt(join(folder, 'owner.token'))
    app = createHttpApp({
      log: pino({ level: 'silent' }),
      loopback: true,
      allowedHosts: [],
      authenticate: (authorization) => access.authenticate(authorization),
    })
    mountEndpoints(app, userEndpoints({ users: access.users, clock }))
    url = await app.listen({ port: 0, host: '127.0.0.1' })
    out = ''
    err = ''
  })
  afterEach(async () => {
    await app.close()
    await db.destroy()
    rmSync(folder, { recursive: true })
  })

  const context = (as: { token?: string; json?: boolean } = {}): CliContext =>
    ({
      io: {
        out: (text: string) => (out += text),
        err: (text: string) => (err += text),
        isTty: false,
        color: pc.createColors(false),
        json: as.json ?? false,
      },
      now: clock.now,
      client: async () => createClient({ baseUrl: url, token: as.token ?? token }),
    }) as unknown as CliContext

  it('adds users, lists them by name, and removes them', async () => {
    await addOne(context(), 'ben', { passwordStdin: true }, async () => 'a password of ben\n')
    await addOne(context(), 'ada', { admin: true })
    expect(err).toContain('`modelwright users token ada` makes one.')
    expect((await access.authenticate(basic('ben', 'a password of ben'))).name).toBe('ben')
    out = ''
    await users(context())
    expect(out.split('\n').map((line) => line.trim())).toEqual([
      'USER  MAY                 SINCE',
      'ada   everything (admin)  just now',
      'ben   what is permitted   just now',
      '',
    ])
    await removeOne(context(), 'ben')
    out = ''
    await users(context({ json: true }))
    expect(JSON.parse(out)).toMatchObject({ items: [{ name: 'ada', admin: true }] })
  })

  it('prints a token once, which counts until it ends or is revoked', async () => {
    await addOne(context(), 'ci', {})
    out = ''
    await issueToken(context(), 'ci', { as: 'nightly', expires: '30d' })
    const secret = out.trim()
    expect(err).toContain('2025-11-08')
    expect(await access.authenticate(`Bearer ${secret}`)).toMatchObject({ kind: 'member', name: 'ci' })
    out = ''
    await userTokens(context(), 'ci')
    expect(out).toContain('nightly')
    expect(out).not.toContain(secret)
    await revokeOne(context(), 'ci', 'nightly')
    await expect(access.authenticate(`Bearer ${secret}`)).rejects.toMatchObject({ code: 'Unauthenticated' })
    await expect(issueToken(context(), 'ci', { expires: 'soon' })).rejects.toMatchObject({
      message: '"soon" is no duration.',
    })
  })

  it('changes a password, and refuses an empty one', async () => {
    await addOne(context(), 'ben', { passwordStdin: true }, async () => 'a password of ben')
    await setPassword(context(), 'ben', async () => 'another password\r\n')
    expect((await access.authenticate(basic('ben', 'another password'))).name).toBe('ben')
    await expect(setPassword(context(), 'ben', async () => '\n')).rejects.toMatchObject({ code: 'BadRequest' })
  })

  it('is for the owner and admins only', async () => {
    await addOne(context(), 'ben', {})
    const own = await access.users.issueToken({ kind: 'owner', name: 'owner' }, 'ben', { name: 'x' })
    await expect(users(context({ token: own }))).rejects.toMatchObject({ code: 'Forbidden' })
    await setAdmin(context(), 'ben', {})
    expect(await users(context({ token: own }))).toBe(0)
    await setAdmin(context(), 'ben', { off: true })
    await expect(users(context({ token: own }))).rejects.toMatchObject({ code: 'Forbidden' })
  })

  it('pages through more users than fit one answer', async () => {
    for (let n = 0; n < 5; n++) await access.users.create({ kind: 'owner', name: 'owner' }, { name: `user ${n}` })
    const first = await fetch(`${url}/api/v1/users?limit=2`, { headers: { authorization: `Bearer ${token}` } })
    const { items, nextPageToken } = (await first.json()) as { items: { name: string }[]; nextPageToken: string }
    expect(items.map((one) => one.name)).toEqual(['user 0', 'user 1'])
    const rest = await fetch(`${url}/api/v1/users?limit=3&pageToken=${nextPageToken}`, {
      headers: { authorization: `Bearer ${token}` },
    })
    expect(await rest.json()).toMatchObject({ items: [{ name: 'user 2' }, { name: 'user 3' }, { name: 'user 4' }] })
  })
})
