import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eachDatabase } from '../../test/support/databases.ts'
import { type Db, eventsAfter, transact } from '../db/index.ts'
import { type Digest, digestOf } from '../kernel/digest.ts'
import type { ExecutionId, RunId } from '../kernel/ids.ts'
import type { NewVersion } from './registry.ts'
import { RegistryService } from './registry-service.ts'

eachDatabase('the registry', (database) => {
  let db: Db
  let registry: RegistryService

  beforeEach(async () => {
    db = await database.open()
    let time = 1000
    registry = new RegistryService({ db, clock: { now: () => time++, sleep: async () => {} } })
  })
  afterEach(() => db.destroy())

  const judged = (content: string, more: Partial<NewVersion> = {}): NewVersion => ({
    model: 'clf',
    source: 'models:/m-1',
    origin: 'modelwright',
    project: 'p',
    contentDigest: digestOf(content),
    manifestDigest: digestOf(`manifest of ${content}`),
    verdictId: 'v1',
    executionId: 'e1' as ExecutionId,
    runId: 'r1' as RunId,
    ...more,
  })
  const register = (version: NewVersion) =>
    transact(db, (tx) => registry.registerVersion(tx, version), { durable: true })
  const numbers = async () => (await registry.versions('clf')).map((version) => version.version)

  describe('a registration', () => {
    it('numbers versions from 1 and keeps where they come from', async () => {
      await register(judged('a'))
      const { version, existed } = await register(judged('b'))
      expect(existed).toBe(false)
      expect(version).toMatchObject({ ...judged('b'), version: 2, aliases: [] })
      expect(await registry.versionByDigest(digestOf('manifest of a') as Digest)).toMatchObject({ version: 1 })
    })

    it('of equal content is the version that it already is', async () => {
      await register(judged('a'))
      const again = await register(judged('a', { executionId: 'e2' as ExecutionId, manifestDigest: digestOf('other') }))
      expect(again).toMatchObject({ existed: true, version: { version: 1, executionId: 'e1' } })
      expect(await numbers()).toEqual([1])
    })

    it('of equal content under another name is another model', async () => {
      await register(judged('a'))
      expect(await register(judged('a', { model: 'other' }))).toMatchObject({ existed: false })
    })

    it('is told once, and not for content that is there already', async () => {
      await register(judged('a'))
      await register(judged('a'))
      const events = await eventsAfter(db, 0, { types: ['version.registered'], limit: 10 })
      expect(events.map((event) => event.payload)).toEqual([
        { project: 'p', model: 'clf', version: 1, digest: digestOf('manifest of a') },
      ])
    })

    it('that fails leaves neither a version nor an event', async () => {
      await expect(
        transact(db, async (tx) => {
          await registry.registerVersion(tx, judged('a'))
          throw new Error('power loss')
        }),
      ).rejects.toThrow('power loss')
      expect(await registry.models()).toEqual([])
      expect(await eventsAfter(db, 0, { limit: 10 })).toEqual([])
    })
  })

  it('does not give the number of a deleted version again', async () => {
    await register(judged('a'))
    await register(judged('b'))
    await registry.deleteVersion('clf', 2)
    expect(await numbers()).toEqual([1])
    expect((await register(judged('b'))).version.version).toBe(3)
    await expect(registry.version('clf', 2)).rejects.toMatchObject({ code: 'NotFound' })
  })

  describe('aliases', () => {
    beforeEach(async () => {
      await register(judged('a'))
      await register(judged('b'))
    })

    it('lead to a version until they are moved or deleted', async () => {
      await registry.setAlias('clf', 'best', 1)
      expect((await registry.versionByAlias('clf', 'best')).version).toBe(1)
      await registry.setAlias('clf', 'best', 2)
      expect(await registry.version('clf', 2)).toMatchObject({ aliases: ['best'] })
      await registry.deleteAlias('clf', 'best')
      await expect(registry.versionByAlias('clf', 'best')).rejects.toThrow('alias best not found')
      expect((await registry.versionByAlias('clf', 'latest')).version).toBe(2)
    })

    it.each(['latest', 'LATEST', 'v1', 'a b', 'a/b', ''])('called %j are refused', async (alias) => {
      await expect(registry.setAlias('clf', alias, 1)).rejects.toMatchObject({ code: 'BadRequest' })
    })

    it('that Git owns are moved by Git alone, and keep their version and model', async () => {
      await transact(db, (tx) => registry.setGitOwnedAlias(tx, 'clf', 'production', 1))
      const forbidden = { code: 'Forbidden' }
      await expect(registry.setAlias('clf', 'production', 2)).rejects.toMatchObject(forbidden)
      await expect(registry.deleteAlias('clf', 'production')).rejects.toMatchObject(forbidden)
      await expect(registry.deleteVersion('clf', 1)).rejects.toMatchObject(forbidden)
      await expect(registry.deleteModel('clf')).rejects.toMatchObject(forbidden)
      await expect(registry.renameModel('clf', 'other')).rejects.toMatchObject(forbidden)
      await transact(db, (tx) => registry.setGitOwnedAlias(tx, 'clf', 'production', 2))
      expect((await registry.versionByAlias('clf', 'production')).version).toBe(2)
      await registry.deleteVersion('clf', 1)
      await transact(db, (tx) => registry.releaseGitOwnedAlias(tx, 'clf', 'production'))
      await registry.setAlias('clf', 'production', 2)
    })
  })

  it('moves versions between stages, archiving what was there', async () => {
    await register(judged('a'))
    await register(judged('b'))
    await registry.moveToStage('clf', 1, 'production', false)
    await registry.moveToStage('clf', 2, 'Production', true)
    expect((await registry.version('clf', 1)).stage).toBe('Archived')
    expect((await registry.latestVersions('clf', ['Production'])).map((version) => version.version)).toEqual([2])
    await expect(registry.moveToStage('clf', 1, 'nowhere', false)).rejects.toThrow('Invalid Model Version stage')
  })

  it('renames a model with everything that belongs to it', async () => {
    await register(judged('a', { tags: [{ key: 'k', value: 'v' }] }))
    await registry.setAlias('clf', 'best', 1)
    await registry.renameModel('clf', 'new')
    expect(await registry.versionByAlias('new', 'best')).toMatchObject({ model: 'new', tags: { k: 'v' } })
    await expect(registry.model('clf')).rejects.toMatchObject({ code: 'NotFound' })
  })

  it.each([
    ["name = 'clf'", ['clf 2', 'clf 1']],
    ["name LIKE 'c%' AND version_number > 1", ['clf 2']],
    ["run_id IN ('r1')", ['clf 1']],
    ["tags.checked = 'yes'", ['other 1']],
    ["name ILIKE 'OTHER'", ['other 1']],
    ["tag.`mlflow.prompt.is_prompt` != 'true'", ['other 1', 'clf 2', 'clf 1']],
    ["tag.`mlflow.prompt.is_prompt` = 'true'", ['prompt 1']],
  ])('finds versions by %s', async (filter, found) => {
    await register(judged('a'))
    await register(judged('b', { runId: 'r2' as RunId }))
    await register(judged('c', { model: 'other', runId: 'r3' as RunId, tags: [{ key: 'checked', value: 'yes' }] }))
    const promptTag = { key: 'mlflow.prompt.is_prompt', value: 'true' }
    await registry.createModel({ name: 'prompt', tags: [promptTag] })
    await registry.createVersion({ model: 'prompt', source: 'p', origin: 'client', tags: [promptTag] })
    const { items } = await registry.searchVersions({ filter, limit: 10 })
    expect(items.map((version) => `${version.model} ${version.version}`)).toEqual(found)
  })

  it('pages through models and versions without missing one', async () => {
    for (const model of ['a', 'b', 'c', 'd', 'e']) await register(judged(model, { model }))
    for (const orderBy of [[], ['name DESC'], ['last_updated_timestamp DESC']]) {
      const names: string[] = []
      let pageToken: string | undefined
      do {
        const page = await registry.searchModels({ limit: 2, orderBy, pageToken })
        names.push(...page.items.map((model) => model.name))
        pageToken = page.nextPageToken
      } while (pageToken)
      expect([...names].sort()).toEqual(['a', 'b', 'c', 'd', 'e'])
    }
  })
})
