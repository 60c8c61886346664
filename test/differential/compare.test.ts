import { describe, expect, it } from 'vitest'
import { type Answer, classOf, differences, Names } from './compare.ts'
import { Differential, isOf } from './differential.ts'
import { experiments } from './families/experiments.ts'
import { knownDifferences } from './known-differences.ts'
import type { Call } from './world.ts'

const ok = (body: unknown): Answer => ({ status: 200, body })
const refused = (code: string, message: string): Answer => ({ status: 400, body: { error_code: code, message } })

describe('the comparer', () => {
  it('finds no difference between answers that are the same', () => {
    const body = { runs: [{ info: { run_id: 'a' }, data: { tags: [{ key: 'k', value: 'v' }] } }], next_page_token: 't' }
    expect(differences(ok(body), ok(structuredClone(body)))).toEqual([])
  })

  it.each([
    ['another value', { a: 1 }, { a: 2 }, 'a'],
    ['another type', { a: 1 }, { a: '1' }, 'a'],
    ['a field that only one has', { a: 1, b: 2 }, { a: 1 }, 'b'],
    ['a field that is null instead of absent', {}, { a: null }, 'a'],
    ['a longer list', { runs: [1] }, { runs: [1, 1] }, 'runs.length'],
    ['another order of runs', { runs: ['a', 'b'] }, { runs: ['b', 'a'] }, 'runs[]'],
    [
      'a difference deep inside',
      { runs: [{ info: { name: 'x' } }] },
      { runs: [{ info: { name: 'y' } }] },
      'runs[].info.name',
    ],
    [
      'another value of a tag',
      { tags: [{ key: 'a', value: '1' }] },
      { tags: [{ key: 'a', value: '2' }] },
      'tags[].value',
    ],
  ])('finds %s', (_what, stock, ours, field) => {
    expect(differences(ok(stock), ok(ours)).map((difference) => difference.field)).toContain(field)
  })

  it('takes tags in any order', () => {
    const [one, two] = [
      { key: 'a', value: '1' },
      { value: '2', key: 'b' },
    ]
    expect(differences(ok({ tags: [one, two] }), ok({ tags: [two, one] }))).toEqual([])
  })

  it('finds another code, other words, and an answer where the other refuses', () => {
    const fields = (stock: Answer, ours: Answer) => differences(stock, ours).map(({ field }) => field)
    expect(fields(refused('BAD_REQUEST', 'x'), refused('INVALID_PARAMETER_VALUE', 'x'))).toEqual(['error_code'])
    expect(fields(refused('BAD_REQUEST', 'x'), refused('BAD_REQUEST', 'y'))).toEqual(['message'])
    expect(fields(refused('BAD_REQUEST', 'x'), ok({}))).toEqual(['status'])
  })

  it('puts differences that differ only in values into one class, and those of other words into another', () => {
    const named = (stock: string, ours: string) =>
      classOf('POST /x', differences(refused('C', stock), refused('C', ours))[0]!)
    expect(named("Run 'a' not found", "No run 'a'")).toBe(named("Run 'b' not found", "No run 'b'"))
    const [first, second] = [differences(ok({ a: 1 }), ok({ a: 2 })), differences(ok({ b: 1 }), ok({ b: 2 }))]
    expect(classOf('POST /x', first[0]!)).not.toBe(classOf('POST /x', second[0]!))
  })
})

describe('the names of one server', () => {
  const startedAt = 1_790_000_000_000
  const runId = '0123456789abcdef0123456789abcdef'

  it('stand for its ids in answers, and its ids for them in calls', () => {
    const names = new Names(startedAt)
    names.bind(runId, '⟦run:0⟧')
    names.bind('7', '⟦experiment:0⟧')
    expect(names.neutral({ run_id: runId, experiment_id: '7', max: '7', message: `Run '${runId}' is gone` })).toEqual({
      run_id: '⟦run:0⟧',
      experiment_id: '⟦experiment:0⟧',
      max: '7',
      message: "Run '⟦run:0⟧' is gone",
    })
    expect(names.render({ run_ids: ['⟦run:0⟧'], path: '/runs/⟦run:0⟧/x' })).toEqual({
      run_ids: [runId],
      path: `/runs/${runId}/x`,
    })
  })

  it('hide the clock, and no other number', () => {
    const names = new Names(startedAt)
    expect(names.neutral({ a: startedAt + 500, b: 1_700_000_000_000, c: 5 })).toEqual({
      a: '⟦time⟧',
      b: 1_700_000_000_000,
      c: 5,
    })
  })
})

describe('a run of the same calls', () => {
  /** Counts the experiments that it makes, and answers nothing else. */
  const server = (first: number, flaw?: (call: Call) => Answer | undefined) => {
    let made = first
    return {
      names: new Names(0),
      send: async (call: Call): Promise<Answer> =>
        flaw?.(call) ?? ok(call.path.endsWith('experiments/create') ? { experiment_id: String(made++) } : {}),
    }
  }
  const told = async (flaw?: (call: Call) => Answer | undefined, seed = 1) => {
    const sides = { stock: server(1), ours: server(500, flaw) }
    return new Differential({ seed, families: [experiments], ...sides }).run(150)
  }

  it('finds nothing where both servers answer alike, whatever ids they give', async () => {
    expect((await told()).found.size).toBe(0)
  })

  it('fails on one wrong answer, and shows the call', async () => {
    const { found } = await told(({ path }) => (path.endsWith('/restore') ? ok({ surplus: true }) : undefined))
    const [one] = [...found.values()]
    expect(found.size).toBe(1)
    expect(one).toMatchObject({
      call: { path: '/api/2.0/mlflow/experiments/restore' },
      difference: { field: 'surplus' },
    })
  })

  it('goes on in a new episode where one server did what the other refused', async () => {
    const refusing = await told(({ path }) => (path.endsWith('/delete') ? refused('BAD_REQUEST', 'no') : undefined))
    expect(refusing.episodes).toBeGreaterThan((await told()).episodes)
    expect(refusing.calls).toBeGreaterThanOrEqual(150)
  })

  it('makes the same calls for the same seed and others for another', async () => {
    const callsOf = async (seed: number) => {
      const calls: Call[] = []
      await told((call) => {
        calls.push(call)
        return undefined
      }, seed)
      return JSON.stringify(calls)
    }
    expect(await callsOf(3)).toBe(await callsOf(3))
    expect(await callsOf(3)).not.toBe(await callsOf(4))
  })
})

it('no known difference excuses a server that fails where stock does not', () => {
  const failing = { field: 'status', stock: '200', ours: '500 INTERNAL_ERROR: Unexpected' }
  for (const endpoint of [
    'POST /api/2.0/mlflow/runs/search',
    'GET /api/2.0/mlflow/runs/get',
    'POST /api/3.0/mlflow/traces',
  ])
    expect(knownDifferences.filter((known) => isOf(known, endpoint, failing))).toEqual([])
})
