import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { eachDatabase } from '../../test/support/databases.ts'
import type { Db } from '../db/index.ts'
import { isAppError } from '../kernel/errors.ts'
import type { Actor } from '../kernel/route.ts'
import { verifyAudit } from './audit.ts'
import { SecretBox } from './secrets.ts'
import { StepSecrets } from './step-secrets.ts'

const owner: Actor = { kind: 'owner', name: 'owner' }

eachDatabase('secrets of steps', (database) => {
  let db: Db
  let secrets: StepSecrets
  const environment: Record<string, string> = { MODELWRIGHT_SECRET_FROM_ENV: 'of the environment' }

  beforeEach(async () => {
    db = await database.open()
    const clock = { now: () => 7, sleep: async () => {} }
    secrets = new StepSecrets({ db, clock, box: new SecretBox(randomBytes(32)), variable: (name) => environment[name] })
  })
  afterEach(() => db.destroy())

  it("gives a project its own before the server's, and that before the environment's", async () => {
    await secrets.set(owner, { name: 'TOKEN', value: 'of the server' })
    await secrets.set(owner, { name: 'FROM_ENV', value: 'set later' })
    await secrets.set(owner, { project: 'one', name: 'TOKEN', value: 'of one' })
    expect(await secrets.valuesFor('one', ['TOKEN', 'FROM_ENV'], 's')).toEqual({
      TOKEN: 'of one',
      FROM_ENV: 'set later',
    })
    expect(await secrets.valuesFor('two', ['TOKEN'], 's')).toEqual({ TOKEN: 'of the server' })
    await secrets.remove(owner, { name: 'FROM_ENV' })
    expect(await secrets.valuesFor('two', ['FROM_ENV'], 's')).toEqual({ FROM_ENV: 'of the environment' })
  })

  it('says what is missing for which step, and what to do', async () => {
    await secrets.set(owner, { project: 'one', name: 'TOKEN', value: 'of one' })
    const asked = secrets.valuesFor('two', ['TOKEN'], 'train')
    await expect(asked).rejects.toSatisfy(
      (error) =>
        isAppError(error, 'SecretMissing') &&
        error.message.includes('"train" asks for the secret "TOKEN"') &&
        error.next.includes('modelwright secrets set TOKEN --project two'),
    )
  })

  it('keeps nothing in clear, tells names only, and writes down who did it', async () => {
    await secrets.set(owner, { project: 'one', name: 'TOKEN', value: 'the first' })
    await secrets.set(owner, { project: 'one', name: 'TOKEN', value: 'the second' })
    const rows = await db.selectFrom('step_secrets').selectAll().execute()
    expect(JSON.stringify(rows)).not.toMatch(/the (first|second)/)
    expect(await secrets.list({ limit: 10 })).toEqual([{ project: 'one', name: 'TOKEN', setBy: 'owner', setAt: 7 }])
    const audit = await db.selectFrom('audit').selectAll().execute()
    expect(audit.map(({ action, subject }) => [action, subject])).toEqual([
      ['secret.set', 'TOKEN'],
      ['secret.set', 'TOKEN'],
    ])
    expect(JSON.stringify(audit)).not.toMatch(/the (first|second)/)
    expect(await verifyAudit(db)).toBeUndefined()
  })

  it('lists page by page', async () => {
    for (const [project, name] of [
      [undefined, 'A'],
      ['one', 'A'],
      ['one', 'B'],
      ['two', 'A'],
    ] as const)
      await secrets.set(owner, { ...(project ? { project } : {}), name, value: 'value' })
    const first = await secrets.list({ limit: 2 })
    const rest = await secrets.list({ limit: 10, after: { project: 'one', name: 'A' } })
    expect([...first, ...rest].map(({ project = '', name }) => `${project}/${name}`)).toEqual([
      '/A',
      'one/A',
      'one/B',
      'two/A',
    ])
  })

  it.each(['', 'abc', 'with\0zero'])('refuses %j as a value', async (value) => {
    await expect(secrets.set(owner, { name: 'TOKEN', value })).rejects.toSatisfy((e) => isAppError(e, 'BadRequest'))
  })

  it('does not open a row that was moved to another name', async () => {
    await secrets.set(owner, { name: 'TOKEN', value: 'the first' })
    await db.updateTable('step_secrets').set({ name: 'OTHER' }).execute()
    await expect(secrets.valuesFor('one', ['OTHER'], 's')).rejects.toSatisfy((e) => isAppError(e, 'SecretUnreadable'))
    await expect(secrets.remove(owner, { name: 'TOKEN' })).rejects.toSatisfy((e) => isAppError(e, 'NotFound'))
  })
})
