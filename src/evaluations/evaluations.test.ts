import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eachDatabase } from '../../test/support/databases.ts'
import type { Db } from '../db/index.ts'
import { TrackingService } from '../tracking/index.ts'
import { EvaluationsService } from './index.ts'

eachDatabase('evaluations', (database) => {
  let db: Db
  let tracking: TrackingService
  let evaluations: EvaluationsService
  let time = 1000

  beforeAll(async () => {
    db = await database.open()
    const clock = { now: () => time++, sleep: async () => {} }
    tracking = new TrackingService({ db, clock })
    evaluations = new EvaluationsService({ db, clock, tracking })
  })
  afterAll(() => db.destroy())

  const newDataset = async (name = 'data'): Promise<string> =>
    (await evaluations.createDataset({ name, tags: {}, experimentIds: [] })).datasetId
  const merge = (datasetId: string, ...records: unknown[]) =>
    evaluations.mergeRecords(datasetId, JSON.stringify(records))
  const allInputs = async (datasetId: string) =>
    (await evaluations.records(datasetId, { limit: 50_000 })).items.map(
      (record) => JSON.parse(record.inputs) as unknown,
    )

  describe('a dataset', () => {
    it('has the digest of its name and last change, as MLflow computes it', async () => {
      const { digest, updatedAt } = await evaluations.createDataset({ name: 'ünï', tags: {}, experimentIds: [] })
      const expected = createHash('sha256').update(`ünï:${updatedAt}`, 'utf8').digest('hex').slice(0, 8)
      expect(digest).toBe(expected)
    })

    it('tells who made it and who changed its records last', async () => {
      const { datasetId } = await evaluations.createDataset({
        name: 'd',
        tags: { 'mlflow.user': 'me' },
        experimentIds: [],
      })
      await merge(datasetId, { inputs: { q: 1 }, tags: { 'mlflow.user': 'you' } }, { inputs: { q: 2 } })
      expect(await evaluations.dataset(datasetId)).toMatchObject({ createdBy: 'me', updatedBy: 'you' })
      await merge(datasetId, { inputs: { q: 3 } })
      expect(await evaluations.dataset(datasetId)).toMatchObject({ createdBy: 'me', updatedBy: undefined })
    })

    it('gives a token that no other search takes', async () => {
      for (const name of ['a', 'b', 'c']) await newDataset(name)
      const filter = "name IN ('a', 'b', 'c')"
      const { nextPageToken: pageToken } = await evaluations.searchDatasets({ limit: 1, filter })
      expect((await evaluations.searchDatasets({ limit: 5, filter, pageToken })).items.map(({ name }) => name)).toEqual(
        ['b', 'a'],
      )
      await expect(evaluations.searchDatasets({ limit: 1, filter: "name != 'x'", pageToken })).rejects.toThrow(
        'belongs to another search',
      )
    })
  })

  describe('records', () => {
    it('are all read before the first is written', async () => {
      const datasetId = await newDataset()
      const list = [...Array.from({ length: 1200 }, (_, n) => ({ inputs: { n } })), { inputs: null }]
      await expect(merge(datasetId, ...list)).rejects.toThrow('inputs must be provided')
      await expect(
        evaluations.mergeRecords(datasetId, `[${'{"inputs": {"n": 1}},'.repeat(1200)} oops]`),
      ).rejects.toThrow('not valid')
      expect(await allInputs(datasetId)).toEqual([])
    })

    it('keep their order over transactions and pages, and are counted once', async () => {
      const datasetId = await newDataset()
      const list = Array.from({ length: 1234 }, (_, n) => ({ inputs: { n } }))
      expect(await merge(datasetId, ...list, list[7])).toEqual({ inserted: 1234, updated: 1 })
      const seen: unknown[] = []
      let pageToken: string | undefined
      do {
        const page = await evaluations.records(datasetId, { limit: 100, pageToken })
        seen.push(...page.items.map((record) => (JSON.parse(record.inputs) as { n: number }).n))
        pageToken = page.nextPageToken
      } while (pageToken)
      expect(seen).toEqual(list.map(({ inputs }) => inputs.n))
      expect((await evaluations.dataset(datasetId)).profile).toBe('{"num_records": 1234}')
    })

    it('that are heavy end a page early, and none is left out', async () => {
      const datasetId = await newDataset()
      for (let n = 0; n < 4; n++)
        await merge(
          datasetId,
          ...Array.from({ length: 60 }, (_, i) => ({ inputs: { n: n * 60 + i, text: 'x'.repeat(60_000) } })),
        )
      const first = await evaluations.records(datasetId, { limit: 50_000 })
      expect(first.items.length).toBeLessThan(240)
      const second = await evaluations.records(datasetId, { limit: 50_000, pageToken: first.nextPageToken })
      expect(second.nextPageToken).toBeUndefined()
      const numbers = [...first.items, ...second.items].map((record) => (JSON.parse(record.inputs) as { n: number }).n)
      expect(numbers).toEqual(Array.from({ length: 240 }, (_, n) => n))
    })

    it('of two writers at once become one for equal inputs', async () => {
      const datasetId = await newDataset()
      const writers = Array.from({ length: 8 }, (_, w) =>
        merge(datasetId, ...Array.from({ length: 20 }, (_, n) => ({ inputs: { n }, expectations: { [`by${w}`]: w } }))),
      )
      const counts = await Promise.all(writers)
      expect(counts.reduce((sum, { inserted }) => sum + inserted, 0)).toBe(20)
      const { items } = await evaluations.records(datasetId, { limit: 100 })
      expect(items).toHaveLength(20)
      for (const record of items) expect(Object.keys(JSON.parse(record.expectations!) as object)).toHaveLength(8)
      expect((await evaluations.dataset(datasetId)).profile).toBe('{"num_records": 20}')
    })

    it('keep characters that no database holds in a text', async () => {
      const datasetId = await newDataset()
      await merge(datasetId, { inputs: { 'a\0': 'b\0', half: '\ud800' } })
      expect(await allInputs(datasetId)).toEqual([{ 'a\0': 'b\0', half: '\ud800' }])
    })

    it('of a dataset that is not there are refused, and those that are not there are deleted already', async () => {
      await expect(merge('d-none', { inputs: {} })).rejects.toMatchObject({ code: 'NotFound' })
      expect(await evaluations.deleteRecords('d-none', ['dr-none'])).toBe(0)
    })

    it('are deleted in thousands', async () => {
      const datasetId = await newDataset()
      await merge(datasetId, ...Array.from({ length: 3000 }, (_, n) => ({ inputs: { n } })))
      const { items } = await evaluations.records(datasetId, { limit: 3000 })
      expect(
        await evaluations.deleteRecords(
          datasetId,
          items.slice(1).map(({ recordId }) => recordId),
        ),
      ).toBe(2999)
      expect(await allInputs(datasetId)).toEqual([{ n: 0 }])
    })
  })

  describe('scorers', () => {
    it('are listed with their latest versions, over active experiments only', async () => {
      const one = await tracking.createExperiment({ name: 'one' })
      const two = await tracking.createExperiment({ name: 'two' })
      for (const [experiment, name] of [
        [two, 'b'],
        [one, 'z'],
        [one, 'a'],
        [one, 'a'],
      ] as const)
        await evaluations.registerScorer(experiment, name, '{}')
      const listed = async (ids?: string[]) =>
        (await evaluations.scorersAcross(ids)).map(({ experimentId, name, version }) => [experimentId, name, version])
      expect(await listed([two, one])).toEqual([
        [one, 'a', 2],
        [one, 'z', 1],
        [two, 'b', 1],
      ])
      await tracking.setExperimentLifecycle(one, 'deleted')
      expect(await listed()).toEqual([[two, 'b', 1]])
      expect(await listed([one])).toEqual([])
      await expect(evaluations.scorers(one)).rejects.toThrow("must be in the 'active' state")
    })

    it('get a number each, however many register at once', async () => {
      const made = await Promise.all(Array.from({ length: 10 }, () => evaluations.registerScorer('0', 's', '{}')))
      expect(made.map(({ version }) => version).sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
      expect(new Set(made.map(({ scorerId }) => scorerId)).size).toBe(1)
    })
  })

  describe('issues', () => {
    it('are found in pages, the gravest first, then the newest', async () => {
      const experimentId = await tracking.createExperiment({ name: 'issues' })
      for (const [name, severity] of [
        ['1', undefined],
        ['2', 'high'],
        ['3', 'not_an_issue'],
        ['4', 'high'],
        ['5', 'medium'],
      ] as const)
        await evaluations.createIssue({ experimentId, name, description: '', severity })
      const first = await evaluations.searchIssues({ experimentId, limit: 2 })
      const second = await evaluations.searchIssues({ experimentId, limit: 9, pageToken: first.nextPageToken })
      expect([...first.items, ...second.items].map(({ name }) => name)).toEqual(['4', '2', '5', '3', '1'])
    })

    it('name a run that there is, in an experiment that is there', async () => {
      const issue = { name: 'i', description: 'd' }
      await expect(evaluations.createIssue({ ...issue, experimentId: '0', sourceRunId: 'none' })).rejects.toMatchObject(
        { code: 'NotFound' },
      )
      await expect(evaluations.createIssue({ ...issue, experimentId: '7' })).rejects.toThrow(
        'No Experiment with id=7 exists',
      )
    })
  })

  describe('label schemas', () => {
    it('have the default question once, however many ask at the same time', async () => {
      const pages = await Promise.all(Array.from({ length: 5 }, () => evaluations.labelSchemas('0', { limit: 10 })))
      for (const { items } of pages)
        expect(items.map(({ name, isDefault }) => [name, isDefault])).toEqual([['Feedback', true]])
    })
  })
})
