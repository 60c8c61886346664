import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Db, eventsAfter, openDatabase } from '../db/index.ts'
import type { Digest } from '../kernel/digest.ts'
import type { Actor, Call, Endpoint } from '../kernel/route.ts'
import type { LoggedPrediction } from './label.ts'
import { receiveLabels } from './labels-contract.ts'
import { labelEndpoints } from './labels-routes.ts'
import { LabelsService } from './labels-service.ts'

const digest = `sha256:${'ab'.repeat(32)}` as Digest
const actor: Actor = { kind: 'member', name: 'ada' }
const clock = { time: 0, now: () => clock.time, sleep: async () => {} }

function decode(text: string) {
  const match = /^(p\d{6})(?::(\d+))?$/.exec(text)
  return match ? { prediction: match[1]!, ...(match[2] ? { row: Number(match[2]) } : {}) } : undefined
}

const log: LoggedPrediction[] = []
function predict(at: number, outputs: string[], change: Partial<LoggedPrediction> = {}): string {
  const id = `p${String(log.length).padStart(6, '0')}`
  const rows = outputs.map((output, i) => ({ key: `k${log.length}-${i}`, input: { radius: at + i }, output }))
  const place = { project: 'tumour', environment: 'production', model: 'm', version: 3, digest }
  log.push({ id, at, ...place, outcome: 'answered', rows, ...change })
  return id
}

describe('labels', () => {
  let db: Db
  let labels: LabelsService

  beforeEach(async () => {
    db = await openDatabase(':memory:')
    log.length = 0
    clock.time = 10_000
    const find = async (ids: readonly string[]) => log.filter(({ id }) => ids.includes(id))
    labels = new LabelsService({ db, clock, predictions: { decode, find } })
  })

  afterEach(() => db.destroy())

  const query = { project: 'tumour', environment: 'production' }
  const told = async () => (await eventsAfter(db, 0, { limit: 100 })).map(({ payload }) => payload)

  it('keeps a label under the answer that it is about, and tells of it once', async () => {
    const id = predict(1_000, ['benign'])
    const first = await labels.receive('tumour', [{ predictionId: id, value: 'malignant' }], actor)
    expect(first).toEqual({ recorded: 1, replaced: 0, unchanged: 0, refused: [] })
    const again = await labels.receive('tumour', [{ predictionId: id, value: 'malignant' }], actor)
    expect(again).toEqual({ recorded: 0, replaced: 0, unchanged: 1, refused: [] })
    expect(await told()).toEqual([{ project: 'tumour', count: 1 }])
    expect(await labels.labelledRows(query)).toEqual([
      {
        ...{ predictionId: id, row: 0, at: 1_000, labelledAt: 10_000, model: 'm', version: 3, digest },
        ...{ key: 'k0-0', input: { radius: 1_000 }, output: 'benign', label: 'malignant' },
      },
    ])
  })

  it('replaces a label by another value, which then is new, and leaves a trace of it in the audit trail', async () => {
    const id = predict(1_000, ['benign'])
    await labels.receive('tumour', [{ predictionId: id, value: 'benign' }], actor)
    clock.time = 20_000
    expect(await labels.receive('tumour', [{ predictionId: id, value: 'malignant' }], actor)).toMatchObject({
      replaced: 1,
    })
    expect(await labels.count({ ...query, labelledAfterMs: 10_000 })).toEqual({ count: 1, lastAt: 20_000 })
    expect(await db.selectFrom('audit').select(['action', 'actor']).execute()).toEqual([
      { action: 'labels.replace', actor: 'ada' },
    ])
  })

  it('takes what it can place and reports each other item', async () => {
    const id = predict(1_000, ['a', 'b'])
    const received = await labels.receive(
      'tumour',
      [
        { predictionId: `${id}:1`, value: 'b' },
        { predictionId: id, value: 'b' },
        { predictionId: 'x', value: 'b' },
      ],
      actor,
    )
    expect(received.recorded).toBe(1)
    expect(received.refused.map(({ index }) => index)).toEqual([1, 2])
    expect(await labels.labelledRows(query)).toMatchObject([{ row: 1, output: 'b' }])
  })

  it('joins more rows than one page holds, in the order of prediction', async () => {
    const ids = Array.from({ length: 1_100 }, (_, i) => predict(5_000 - i, ['a', 'b']))
    const given = ids.flatMap((id) => [0, 1].map((row) => ({ predictionId: `${id}:${row}`, value: row })))
    expect((await labels.receive('tumour', given, actor)).recorded).toBe(2_200)
    const rows = await labels.labelledRows(query)
    expect(rows.length).toBe(2_200)
    expect(rows.map(({ at, row }) => at * 2 + row)).toEqual(
      rows.map(({ at, row }) => at * 2 + row).sort((a, b) => a - b),
    )
    expect((await labels.latestLabelledRows(query, 3)).map(({ at }) => at)).toEqual([4_999, 5_000, 5_000])
  })

  it('sums up per environment and version, with the delay', async () => {
    const [a, b] = [predict(4_000, ['benign']), predict(8_000, ['benign'])]
    await labels.receive(
      'tumour',
      [
        { predictionId: a, value: 'benign' },
        { predictionId: b, value: 'malignant' },
      ],
      actor,
    )
    expect(await labels.summary('tumour')).toMatchObject([
      {
        ...{ environment: 'production', version: 3, labels: 2, meanDelayMs: 4_000 },
        values: [
          { value: 'benign', count: 1, share: 0.5 },
          { value: 'malignant', count: 1, share: 0.5 },
        ],
      },
    ])
  })

  it('takes at most 10,000 labels in one call, and scalars only', () => {
    const label = { predictionId: 'x', value: 1 }
    const body = receiveLabels.body!
    expect(body.safeParse({ labels: Array(10_000).fill(label) }).success).toBe(true)
    expect(body.safeParse({ labels: Array(10_001).fill(label) }).success).toBe(false)
    expect(body.safeParse({ labels: [{ predictionId: 'x', value: null }] }).success).toBe(false)
  })

  it('answers over its route, of a connected project only', async () => {
    const id = predict(1_000, ['benign'])
    const get = async (name: string) => {
      if (name !== 'tumour') throw new Error(`no project ${name}`)
      return { name, branch: 'main', createdAt: 0 }
    }
    const [receive] = labelEndpoints(labels, { get })
    const call = (project: string) =>
      receive!.handle({
        params: { project },
        body: { labels: [{ predictionId: id, value: 'benign' }] },
        actor,
      } as Call<Endpoint['route']>)
    expect(await call('tumour')).toMatchObject({ recorded: 1 })
    await expect(call('nobody')).rejects.toThrow('no project nobody')
  })
})
