import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eachDatabase } from '../../test/support/databases.ts'
import { type Db, eventsAfter, transact } from '../db/index.ts'
import { type Digest, digestOf } from '../kernel/digest.ts'
import type { ExecutionId, RunId } from '../kernel/ids.ts'
import { type NewVersion, promptTag } from './registry.ts'
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
        {
          project: 'p',
          model: 'clf',
          prompt: false,
          version: 1,
          digest: digestOf('manifest of a'),
          source: 'models:/m-1',
          runId: 'r1',
          tags: {},
        },
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

  it('tells of models, tags and aliases in the transaction of the change', async () => {
    const tags = [{ key: 'k', value: 'v' }]
    await registry.createModel({ name: 'm', tags, description: 'd' })
    await registry.createVersion({ model: 'm', source: 's', origin: 'client', tags })
    await registry.setModelTag('m', { key: 'a', value: 'b' })
    await registry.deleteModelTag('m', 'a')
    await registry.setVersionTag('m', 1, { key: 'a', value: 'b' })
    await registry.deleteVersionTag('m', 1, 'a')
    await registry.setAlias('m', 'best', 1)
    await registry.deleteAlias('m', 'best')
    await expect(registry.setAlias('m', 'best', 2)).rejects.toThrow('not found')
    await registry.createModel({ name: 'p', tags: [{ key: promptTag, value: 'True' }] })
    await registry.setModelTag('p', { key: 'a', value: 'b' })
    const model = { model: 'm', prompt: false }
    const told = (await eventsAfter(db, 0, { limit: 20 })).map(({ type, payload }) => [type, payload])
    expect(told).toEqual([
      ['model.registered', { ...model, tags: { k: 'v' }, description: 'd' }],
      ['version.registered', { ...model, version: 1, source: 's', tags: { k: 'v' } }],
      ['model.tagged', { ...model, key: 'a', value: 'b' }],
      ['model.untagged', { ...model, key: 'a' }],
      ['version.tagged', { ...model, version: 1, key: 'a', value: 'b' }],
      ['version.untagged', { ...model, version: 1, key: 'a' }],
      ['alias.set', { ...model, alias: 'best', version: 1 }],
      ['alias.deleted', { ...model, alias: 'best' }],
      ['model.registered', { model: 'p', prompt: true, tags: { [promptTag]: 'True' } }],
      ['model.tagged', { model: 'p', prompt: true, key: 'a', value: 'b' }],
    ])
  })

  describe('with 64 clients at once', () => {
    const clients = Array.from({ length: 64 }, (_, index) => index)

    it('gives each version a number of its own, without a gap', async () => {
      await registry.createModel({ name: 'clf' })
      const given = await Promise.all(
        clients.map((client) => registry.createVersion({ model: 'clf', source: `s${client}`, origin: 'client' })),
      )
      expect(given.map(({ version }) => version).sort((a, b) => a - b)).toEqual(clients.map((client) => client + 1))
      expect((await registry.versions('clf')).length).toBe(64)
    })

    it('registers a model once, whoever comes first', async () => {
      const outcomes = await Promise.allSettled(clients.map(() => registry.createModel({ name: 'clf' })))
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      for (const outcome of outcomes)
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'AlreadyExists' })
      expect(await eventsAfter(db, 0, { types: ['model.registered'], limit: 10 })).toHaveLength(1)
    })

    it('of equal judged content makes one version, with its model', async () => {
      const registered = await Promise.all(clients.map(() => register(judged('a'))))
      expect(registered.filter(({ existed }) => !existed)).toHaveLength(1)
      expect(await numbers()).toEqual([1])
    })

    it('leaves an alias where it was set last, and none on a deleted version', async () => {
      for (const version of clients) await register(judged(`v${version}`))
      await Promise.all(clients.map((client) => registry.setAlias('clf', 'best', client + 1)))
      const [last] = (await eventsAfter(db, 0, { types: ['alias.set'], limit: 100 })).slice(-1)
      expect(last?.payload).toMatchObject({ version: (await registry.versionByAlias('clf', 'best')).version })
      await Promise.allSettled(
        clients.flatMap((client) => [
          registry.setAlias('clf', `a${client}`, client + 1),
          registry.deleteVersion('clf', client + 1),
        ]),
      )
      expect((await registry.model('clf')).aliases).toEqual([])
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

  it('tells thousands of versions in one answer, each with its own tags and aliases', async () => {
    await registry.createModel({ name: 'clf' })
    await registry.createVersion({ model: 'clf', source: 's', origin: 'client' })
    const first = await db.selectFrom('model_versions').selectAll().executeTakeFirstOrThrow()
    const others = Array.from({ length: 2099 }, (_, index) => ({ ...first, version: index + 2 }))
    for (let start = 0; start < others.length; start += 1000)
      await db
        .insertInto('model_versions')
        .values(others.slice(start, start + 1000))
        .execute()
    for (const n of [500, 1000, 1500, 2000]) await registry.setVersionTag('clf', n, { key: 'n', value: String(n) })
    await registry.setAlias('clf', 'last', 2100)
    const { items } = await registry.searchVersions({ limit: 200_000, orderBy: ['version_number ASC'] })
    expect(items.map(({ version }) => version)).toEqual(Array.from({ length: 2100 }, (_, index) => index + 1))
    expect(items.filter(({ tags }) => tags.n).map(({ tags }) => tags.n)).toEqual(['500', '1000', '1500', '2000'])
    expect(items.filter(({ aliases }) => aliases.length > 0).map(({ version }) => version)).toEqual([2100])
  })

  it('says whether a model or a prompt has the name already', async () => {
    const tags = [{ key: promptTag, value: 'true' }]
    await registry.createModel({ name: 'm' })
    await registry.createModel({ name: 'p', tags })
    await expect(registry.createModel({ name: 'm' })).rejects.toThrow('Registered Model (name=m) already exists.')
    await expect(registry.createModel({ name: 'p', tags })).rejects.toThrow('Prompt (name=p) already exists.')
    await expect(registry.createModel({ name: 'm', tags })).rejects.toThrow(
      "Tried to create a prompt with name 'm', but the name is already taken by a registered model.",
    )
    await expect(registry.createModel({ name: 'p' })).rejects.toThrow('already taken by a prompt')
  })

  it("a version's description leaves the model's time of change, its stage does not", async () => {
    await register(judged('a'))
    const { updatedAt } = await registry.model('clf')
    await registry.describeVersion('clf', 1, 'd')
    expect((await registry.model('clf')).updatedAt).toBe(updatedAt)
    await registry.moveToStage('clf', 1, 'staging', false)
    expect((await registry.model('clf')).updatedAt).toBeGreaterThan(updatedAt)
  })

  it.each([
    [['foo'], "Invalid order by key 'foo' specified"],
    [['name', 'name DESC'], '`order_by` contains duplicate fields'],
    [['name SIDEWAYS'], "Invalid ordering key in order_by clause 'name SIDEWAYS'"],
    [[''], 'Could not be parsed'],
    [['timestamp', 'last_updated_timestamp'], 'duplicate fields'],
  ])('refuses to order models by %j', async (orderBy, message) => {
    await expect(registry.searchModels({ limit: 1, orderBy })).rejects.toThrow(message)
  })

  it.each([
    ["attributes.name = 'x'", 'Invalid entity type'],
    ["run_id = 'x'", "Invalid attribute key 'run_id' specified"],
    ["name > 'x'", 'Invalid comparator'],
    ['name = x', 'not quoted'],
    ["name = 'a' OR name = 'b'", 'Invalid clause'],
  ])('refuses to look for models by %s', async (filter, message) => {
    await expect(registry.searchModels({ limit: 1, filter })).rejects.toThrow(message)
  })

  it.each([
    ['version_number = 1.5', "Invalid value for numeric attribute 'version_number': 1.5"],
    ["source_path IN ('a')", "Only ['name', 'run_id'] attributes support comparison with a list"],
    ["current_stage = 'None'", "Invalid attribute key 'current_stage'"],
  ])('refuses to look for versions by %s', async (filter, message) => {
    await expect(registry.searchVersions({ limit: 1, filter })).rejects.toThrow(message)
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
