import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { eachDatabase } from '../../test/support/databases.ts'
import { type Db, transact } from '../db/index.ts'
import type { RunId } from '../kernel/ids.ts'
import type { Actor } from '../kernel/route.ts'
import { AccessService } from './access-service.ts'
import { appendAudit, verifyAudit } from './audit.ts'

const cheap = { N: 2, r: 1, p: 1 }
const good = 'correct horse battery'
const owner: Actor = { kind: 'owner', name: 'owner' }

eachDatabase('access', (database) => {
  let time = 1_000
  const clock = { now: () => time, sleep: async () => {} }
  let db: Db
  let folder: string
  let access: AccessService

  beforeEach(async () => {
    time = 1_000
    db = await database.open()
    folder = mkdtempSync(join(tmpdir(), 'mw-access-'))
    access = another()
    await access.prepareOwnerToken()
  })

  afterEach(async () => {
    await db.destroy()
    rmSync(folder, { recursive: true })
  })

  const another = () =>
    new AccessService({ db, clock, ownerTokenPath: join(folder, 'keys', 'owner.token'), passwordCost: cheap })
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

  const basic = (name: string, secret: string) => `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`
  const refused = { code: 'Unauthenticated' }

  it('knows a user by password, and keeps no password that could be read', async () => {
    const ben = await access.users.create(owner, { name: 'ben', password: good })
    expect(await access.authenticate(basic('ben', good))).toEqual({ kind: 'member', name: 'ben', userId: ben.id })
    await expect(access.authenticate(basic('ben', `${good}!`))).rejects.toMatchObject(refused)
    await expect(access.authenticate(basic('nobody', good))).rejects.toMatchObject(refused)
    await expect(access.authenticate(`Bearer ${good}`)).rejects.toMatchObject(refused)
    const { password_hash } = await db.selectFrom('users').selectAll().executeTakeFirstOrThrow()
    expect(password_hash).toMatch(/^scrypt\$/)
    expect(password_hash).not.toContain(good)
  })

  it('takes a password in either form of its accents', async () => {
    await access.users.create(owner, { name: 'jörg', password: 'p\u00e4sswort-lang' })
    expect((await access.authenticate(basic('jörg', 'pa\u0308sswort-lang'))).name).toBe('jörg')
  })

  it('forgets a password when it is changed, and a user when it is removed, at once', async () => {
    await access.users.create(owner, { name: 'ben', password: good })
    await access.authenticate(basic('ben', good))
    await access.users.setPassword(owner, 'ben', 'another long password')
    await expect(access.authenticate(basic('ben', good))).rejects.toMatchObject(refused)
    expect((await access.authenticate(basic('ben', 'another long password'))).kind).toBe('member')
    await access.users.remove(owner, 'ben')
    await expect(access.authenticate(basic('ben', 'another long password'))).rejects.toMatchObject(refused)
  })

  it('hears within seconds of what another server on the same database changed', async () => {
    await access.users.create(owner, { name: 'ben', password: good })
    await access.authenticate(basic('ben', good))
    const other = another()
    await other.users.setAdmin(owner, 'ben', true)
    time += 5_000
    expect((await access.authenticate(basic('ben', good))).admin).toBe(true)
    await other.users.setPassword(owner, 'ben', 'another long password')
    time += 5_000
    await expect(access.authenticate(basic('ben', good))).rejects.toMatchObject(refused)
  })

  it('makes a guesser wait, and not only for names that there are', async () => {
    await access.users.create(owner, { name: 'ben', password: good })
    for (const name of ['ben', 'nobody']) {
      for (let guess = 0; guess < 5; guess++)
        await expect(access.authenticate(basic(name, `guess ${guess} of many`))).rejects.toMatchObject(refused)
      await expect(access.authenticate(basic(name, good))).rejects.toMatchObject({ code: 'TooManyAttempts' })
    }
    time += 1_000
    expect((await access.authenticate(basic('ben', good))).name).toBe('ben')
    await expect(access.authenticate(basic('ben', 'one more wrong one'))).rejects.toMatchObject(refused)
  })

  it('counts guesses that come all at once', async () => {
    const guesses = Array.from({ length: 50 }, (_, n) => access.authenticate(basic('ben', `guess number ${n}`)))
    const codes = (await Promise.allSettled(guesses)).map((one) => (one as { reason: { code: string } }).reason.code)
    expect(codes.filter((code) => code === 'Unauthenticated')).toHaveLength(5)
    expect(codes.filter((code) => code === 'TooManyAttempts')).toHaveLength(45)
  })

  it('lets whoever is known already in while somebody else guesses their password', async () => {
    await access.users.create(owner, { name: 'ben', password: good })
    await access.authenticate(basic('ben', good))
    for (let guess = 0; guess < 6; guess++)
      await access.authenticate(basic('ben', `guess ${guess} of many`)).catch(() => undefined)
    expect((await access.authenticate(basic('ben', good))).name).toBe('ben')
  })

  it("knows a user by tokens that are the user's own, until they end or are revoked", async () => {
    await access.users.create(owner, { name: 'ci' })
    const ends = await access.users.issueToken(owner, 'ci', { name: 'build', expiresAt: time + 60_000 })
    const stays = await access.users.issueToken(owner, 'ci', { name: 'laptop' })
    expect(await access.authenticate(`Bearer ${ends}`)).toMatchObject({ kind: 'member', name: 'ci' })
    expect((await access.authenticate(basic('whoever', stays))).name).toBe('ci')
    expect(await access.users.tokens('ci')).toEqual([
      { name: 'build', createdAt: 1_000, expiresAt: 61_000 },
      { name: 'laptop', createdAt: 1_000 },
    ])
    time += 60_000
    await expect(access.authenticate(`Bearer ${ends}`)).rejects.toMatchObject(refused)
    await access.users.revokeToken(owner, 'ci', 'laptop')
    await expect(access.authenticate(basic('whoever', stays))).rejects.toMatchObject(refused)
    await expect(access.users.issueToken(owner, 'ci', { name: 'build' })).rejects.toMatchObject({
      code: 'AlreadyExists',
    })
  })

  it('refuses names that could not log in', async () => {
    for (const [name, message] of [
      ['', 'Username cannot be empty.'],
      ['a:b', '"a:b" cannot be the name of a user.'],
      [' ben', '" ben" cannot be the name of a user.'],
      ['a\nb', '"a\\nb" cannot be the name of a user.'],
    ])
      await expect(access.users.create(owner, { name: name!, password: good })).rejects.toMatchObject({
        code: 'BadRequest',
        message,
      })
  })

  it('refuses short passwords and taken names', async () => {
    await expect(access.users.create(owner, { name: 'ben', password: 'elevenchars' })).rejects.toMatchObject({
      message: 'Password must be at least 12 characters.',
    })
    await access.users.create(owner, { name: 'ben', password: good })
    await expect(access.users.create(owner, { name: 'ben', password: good })).rejects.toMatchObject({
      code: 'AlreadyExists',
    })
  })

  it('writes every change of users, tokens and permissions into the audit trail, without secrets', async () => {
    const { users, permissions } = access
    await users.create(owner, { name: 'ben', password: good, admin: true })
    await users.setAdmin(owner, 'ben', false)
    await users.setPassword(owner, 'ben', 'another long password')
    const token = await users.issueToken(owner, 'ben', { name: 'laptop' })
    await users.revokeToken(owner, 'ben', 'laptop')
    await permissions.grant(owner, 'ben', { type: 'experiment', pattern: '7', permission: 'EDIT' }, 'new')
    await permissions.revoke(owner, 'ben', 'experiment', '7')
    await users.remove(owner, 'ben')
    const entries = await db.selectFrom('audit').selectAll().orderBy('id').execute()
    expect(entries.map(({ actor, action, subject }) => `${actor} ${action} ${subject}`)).toEqual([
      'owner user.create user ben',
      'owner user.admin user ben',
      'owner user.password user ben',
      'owner token.issue user ben',
      'owner token.revoke user ben',
      'owner permission.set user ben',
      'owner permission.remove user ben',
      'owner user.remove user ben',
    ])
    const written = JSON.stringify(entries)
    for (const secret of [good, 'another long password', token]) expect(written).not.toContain(secret)
    expect(await verifyAudit(db)).toBeUndefined()
  })

  it('gives, changes and takes permissions, and lets them follow what they are on', async () => {
    const { users, permissions } = access
    const ben = await users.create(owner, { name: 'ben', password: good })
    const actor: Actor = { kind: 'member', name: 'ben', userId: ben.id }
    const edit = (id: string) =>
      permissions.may(actor, { action: 'update', on: { type: 'registered_model', id } }).then((one) => one.allowed)
    const grant = { type: 'registered_model', pattern: 'm', permission: 'EDIT' } as const

    expect(await permissions.grant(owner, 'ben', grant, 'changed')).toBe('missing')
    expect(await edit('m')).toBe(false)
    await permissions.grant(owner, 'ben', grant, 'new')
    expect(await permissions.grant(owner, 'ben', grant, 'new')).toBe('exists')
    expect(await edit('m')).toBe(true)
    await permissions.renamed(['registered_model', 'prompt'], 'm', 'n')
    expect([await edit('m'), await edit('n')]).toEqual([false, true])
    await permissions.deleted(['registered_model', 'prompt'], 'n')
    expect(await edit('n')).toBe(false)
    await permissions.madeBy(actor, { type: 'registered_model', id: 'o' })
    expect((await permissions.grantsOf('ben')).grants).toEqual([
      { type: 'registered_model', pattern: 'o', permission: 'MANAGE' },
    ])
    await users.remove(owner, 'ben')
    expect(await db.selectFrom('user_permissions').selectAll().execute()).toEqual([])
  })

  it('asks the database for permissions once, not at every request', async () => {
    const ben = await access.users.create(owner, { name: 'ben', password: good })
    const actor: Actor = { kind: 'member', name: 'ben', userId: ben.id }
    const read = () => access.permissions.may(actor, { action: 'read', on: { type: 'experiment', id: '7' } })
    expect((await read()).allowed).toBe(true)
    await db
      .insertInto('user_permissions')
      .values({ user_id: ben.id, resource_type: 'experiment', pattern: '7', permission: 'DENY' })
      .execute()
    expect((await read()).allowed).toBe(true)
    time += 5_000
    expect((await read()).allowed).toBe(false)
  })
})
