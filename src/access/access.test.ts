import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Db, openDatabase, transact } from '../db/index.ts'
import type { RunId } from '../kernel/ids.ts'
import { AccessService } from './access-service.ts'
import { appendAudit, verifyAudit } from './audit.ts'

const clock = { now: () => 1_000, sleep: async () => {} }

describe('access', () => {
  let db: Db
  let folder: string
  let access: AccessService

  beforeEach(async () => {
    db = await openDatabase(':memory:')
    folder = mkdtempSync(join(tmpdir(), 'mw-access-'))
    access = new AccessService({ db, clock, ownerTokenPath: join(folder, 'keys', 'owner.token') })
    await access.prepareOwnerToken()
  })

  afterEach(async () => {
    await db.destroy()
    rmSync(folder, { recursive: true })
  })

  const ownerToken = () => readFileSync(join(folder, 'keys', 'owner.token'), 'utf8').trim()

  it('knows the owner by the token in a file that only its user can read', async () => {
    expect(statSync(join(folder, 'keys', 'owner.token')).mode & 0o777).toBe(0o600)
    expect((await access.authenticate(`Bearer ${ownerToken()}`)).kind).toBe('owner')
    const basic = Buffer.from(`anyone:${ownerToken()}`).toString('base64')
    expect((await access.authenticate(`Basic ${basic}`)).kind).toBe('owner')
  })

  it('keeps the token over a restart', async () => {
    const before = ownerToken()
    await access.prepareOwnerToken()
    expect(ownerToken()).toBe(before)
  })

  it('refuses an unknown token instead of treating its bearer as nobody', async () => {
    await expect(access.authenticate('Bearer wrong')).rejects.toMatchObject({ code: 'Unauthenticated' })
    expect((await access.authenticate(undefined)).kind).toBe('anonymous')
  })

  it("forgets a step's token when the step ends", async () => {
    const runId = 'a'.repeat(32) as RunId
    const token = await transact(db, (tx) => access.issueStepToken(tx, runId))
    expect(await access.authenticate(`Bearer ${token}`)).toMatchObject({ kind: 'step', runId })
    await transact(db, (tx) => access.withdrawStepTokens(tx, runId))
    await expect(access.authenticate(`Bearer ${token}`)).rejects.toMatchObject({ code: 'Unauthenticated' })
  })

  it('shows an audit entry that was changed behind its back', async () => {
    for (const action of ['approve', 'promote', 'abort'])
      await transact(db, (tx) => appendAudit(tx, { at: 1, actor: 'owner', action, subject: 'x', details: {} }))
    expect(await verifyAudit(db)).toBeUndefined()
    await db.updateTable('audit').set({ actor: 'somebody else' }).where('action', '=', 'promote').execute()
    expect(await verifyAudit(db)).toBe(2)
  })
})
