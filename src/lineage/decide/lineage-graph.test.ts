import { describe, expect, it } from 'vitest'
import { type Digest, digestOf } from '../../kernel/digest.ts'
import type { KeyParts } from '../../planning/index.ts'
import { findThings } from './find-things.ts'
import { type LineageFacts, lineageGraph, walk } from './lineage-graph.ts'
import { openLineageOf } from './open-lineage.ts'

const [rows, base, added, code, work, tree, lock, manifest] = [
  'rows',
  'base',
  'added',
  'code',
  'work',
  'tree',
  'lock',
  'manifest',
].map(digestOf) as Digest[]
const runs = ['1', '2', '3'].map((digit) => digit.repeat(32))

const key = (files: Record<string, string>, trees: string[] = []): KeyParts => ({
  ...{
    command: '',
    files,
    trees,
    params: {},
    seed: 0,
    environment: lock!,
    variables: {},
    outs: [],
    metrics: false,
    checks: {},
  },
})

/** biopsies (base + labelled rows) → prepare → train → model → evaluate; version 3 served in production before the rows came. */
const facts: LineageFacts = {
  executions: [
    {
      id: 'e-000001',
      commit: 'c'.repeat(40),
      createdAt: 100,
      data: [{ dataset: 'biopsies', path: 'data/b.csv', digest: rows! }],
    },
  ],
  runs: [
    {
      runId: runs[0]!,
      executionId: 'e-000001',
      step: 'prepare',
      startedAt: 105,
      endedAt: 110,
      key: key({ 'data/b.csv': rows!, 'src/p.py': `${code} executable` }),
      outs: { 'work/t.csv': work! },
    },
    {
      ...{
        runId: runs[1]!,
        executionId: 'e-000001',
        step: 'train',
        endedAt: 120,
        key: key({ 'work/t.csv': work! }, ['work/t.csv']),
        outs: {},
      },
      model: { name: 'm', loggedModelId: 'm-1', tree: tree! },
    },
    {
      runId: runs[2]!,
      executionId: 'e-000001',
      step: 'evaluate',
      endedAt: 130,
      key: key({ 'model:m': tree! }),
      outs: {},
    },
  ],
  versions: [
    { digest: digestOf('old'), model: 'm', version: 2, loggedModelId: 'm-0', createdAt: 10 },
    { digest: manifest!, model: 'm', version: 3, loggedModelId: 'm-1', createdAt: 140 },
  ],
  datasets: [
    {
      project: 'p',
      dataset: 'biopsies',
      digest: base!,
      rows: 3,
      origin: { kind: 'git', path: 'data/b.csv' },
      createdAt: 1,
    },
    {
      project: 'p',
      dataset: 'biopsies',
      digest: added!,
      rows: 1,
      origin: { kind: 'labelled predictions', environment: 'production', until: 50 },
      createdAt: 60,
    },
    {
      project: 'p',
      dataset: 'biopsies',
      digest: rows!,
      rows: 4,
      origin: { kind: 'joined', base: base!, added: added! },
      createdAt: 61,
    },
  ],
  served: [
    { environment: 'production', digest: digestOf('old'), at: 20 },
    { environment: 'production', digest: manifest!, at: 150 },
  ],
}
const graph = lineageGraph(facts)
const reached = (of: string, direction: 'up' | 'down' | 'both', depth = 99) =>
  walk(
    graph,
    findThings(graph, of).map(({ id }) => id),
    { direction, depth },
  )
const names = (of: string, direction: 'up' | 'down', depth?: number) =>
  reached(of, direction, depth)
    .things.filter(({ distance }) => distance !== 0)
    .map(({ name }) => name)
    .sort()

describe('the graph of what led to what', () => {
  it('leads from a version up to code, data and its parts, commit and environment, and to what served when rows were labelled', () => {
    expect(names('m@3', 'up')).toEqual(
      [
        ...['model m', 'train', 'prepare', 'work/t.csv', 'src/p.py', 'data biopsies', 'data biopsies', 'data biopsies'],
        ...['execution e-000001', `commit ${'c'.repeat(12)}`, 'Python environment'],
        ...['production: m v2', 'm v2', 'model m'],
      ].sort(),
    )
  })

  it('leads from a file down to every model that came of it', () => {
    expect(names('src/p.py', 'down')).toEqual(
      ['evaluate', 'm v3', 'model m', 'prepare', 'production: m v3', 'train', 'work/t.csv'].sort(),
    )
  })

  it('does not take the rows of a later labelling for what an earlier version led to', () => {
    expect(names('m@3', 'down')).toEqual(['production: m v3'])
    expect(names('m@2', 'down')).toContain('m v3')
  })

  it('goes so many steps and says that there is more', () => {
    expect(names('m@3', 'up', 1)).toEqual(['model m'])
    expect(reached('m@3', 'up', 1).more).toBe(true)
    expect(reached('m@3', 'up', 99).more).toBe(false)
  })

  it('gives upstream negative distances and only lines between what was reached', () => {
    const { things, lines } = reached('train', 'both', 1)
    expect(things).toEqual([])
    const run = reached(runs[1]!, 'both', 1)
    expect(run.things.map(({ distance }) => distance)).toEqual([-1, -1, -1, 0, 1])
    const ids = new Set(run.things.map(({ id }) => id))
    for (const { from, to } of [...lines, ...run.lines]) expect(ids.has(from) && ids.has(to)).toBe(true)
  })

  it('walks to the same things whatever the order of the facts', () => {
    const turned = lineageGraph({ ...facts, runs: [...facts.runs].reverse(), versions: [...facts.versions].reverse() })
    expect(
      walk(
        turned,
        findThings(turned, 'm@3').map(({ id }) => id),
        { direction: 'up', depth: 99 },
      ).things,
    ).toEqual(reached('m@3', 'up').things)
  })
})

it.each([
  ['biopsies', 3, 'data'],
  [`biopsies@${rows}`, 1, 'data'],
  [`biopsies@${rows!.slice(7, 19)}`, 1, 'data'],
  ['data/b.csv', 1, 'data'],
  [`data/b.csv@${rows!.slice(7, 19)}`, 1, 'data'],
  ['src/p.py', 1, 'file'],
  ['src', 1, 'file'],
  [runs[0]!, 1, 'run'],
  ['e-000001', 1, 'execution'],
  ['000001', 1, 'execution'],
  ['c'.repeat(8), 1, 'commit'],
  ['c'.repeat(7), 1, 'commit'],
  ['m', 2, 'version'],
  ['m@3', 1, 'version'],
  ['m@v2', 1, 'version'],
  [manifest!, 1, 'version'],
  ['production', 2, 'deployment'],
  [lock!.slice(0, 20), 1, 'environment'],
  ['file:work/t.csv', 1, 'file'],
  ['model:m', 2, 'version'],
])('by "%s" %d things of kind %s are meant', (text, found, kind) => {
  const things = findThings(graph, text)
  expect(things.map((thing) => thing.kind)).toEqual(Array.from({ length: found }, () => kind))
})

it.each(['nothing', 'm@9', 'run:biopsies', 'biopsies@9999999', ''])('by "%s" nothing is meant', (text) => {
  expect(findThings(graph, text)).toEqual([])
})

it('tells runs as OpenLineage does: begun and ended in order, with what they took and gave, their parent and their commit', () => {
  const events = openLineageOf('p', reached('m@3', 'up'))
  // Of the second it is not known when it began.
  const complete = { eventType: 'COMPLETE', eventTime: '1970-01-01T00:00:00.110Z' }
  expect(events).toHaveLength(3)
  expect({ ...events[0], ...complete }).toEqual(events[1])
  expect(events[0]).toMatchObject({
    eventType: 'START',
    eventTime: '1970-01-01T00:00:00.105Z',
    schemaURL: 'https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent',
    run: { runId: '11111111-1111-1111-1111-111111111111', facets: { parent: { run: { runId: 'e-000001' } } } },
    job: {
      namespace: 'modelwright://p',
      name: 'p.prepare',
      facets: { sourceCodeLocation: { version: 'c'.repeat(40) } },
    },
    inputs: [{ name: 'data:biopsies', facets: { version: { datasetVersion: rows } } }, { name: 'src/p.py' }],
    outputs: [{ name: 'work/t.csv' }],
  })
  expect(events[2]).toMatchObject({ inputs: [{ name: 'work/t.csv' }], outputs: [{ name: 'model:m' }] })
})
