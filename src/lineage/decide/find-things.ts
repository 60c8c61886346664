import type { LineageGraph, Thing, ThingKind } from './lineage-graph.ts'

type Wanted = { kind: ThingKind; test: (thing: Thing) => boolean }

const kindWords: Record<string, ThingKind> = {
  ...{ dataset: 'data', data: 'data', file: 'file', commit: 'commit', run: 'run', execution: 'execution' },
  ...{ model: 'version', version: 'version', deployment: 'deployment', environment: 'deployment', lock: 'environment' },
}

/**
 * The things that a person means: `biopsies` (every content of the dataset), `biopsies@sha256:9f2c…`, a path (also a dataset's), a commit's beginning, a
 * run, an execution or the end of its id, `tumour-classifier` (all its versions), `tumour-classifier@3`, an environment's name, any
 * digest's beginning. A word before it says which kind is meant: `file:data/x.csv`. The first kind that has such a thing is it.
 */
export function findThings(graph: LineageGraph, text: string): Thing[] {
  const prefix = /^([a-z]+):(?!\/\/)(.+)$/.exec(text)
  const only = prefix && kindWords[prefix[1]!]
  const wanted = wantedFrom(only ? prefix[2]! : text)
  const all = [...graph.things.values()]
  for (const { kind, test } of wanted) {
    if (only && kind !== only) continue
    const found = all.filter((thing) => thing.kind === kind && test(thing))
    if (found.length > 0) return found
  }
  return []
}

function wantedFrom(text: string): Wanted[] {
  const digest = /^(?:sha256:)?([0-9a-f]{7,64})$/.exec(text)?.[1]
  const at = /^(.+)@([^@]+)$/.exec(text)
  const has = (thing: Thing, hex: string) => thing.ref.replace(/^sha256:/, '').startsWith(hex.replace(/^sha256:/, ''))
  const exact = (kind: ThingKind): Wanted => ({ kind, test: ({ ref }) => ref === text })
  const byDigest = (kind: ThingKind): Wanted[] => (digest ? [{ kind, test: (thing) => has(thing, digest) }] : [])
  const marked = (kind: ThingKind, name: (thing: Thing) => string): Wanted[] =>
    at ? [{ kind, test: (thing) => name(thing) === at[1] && isMark(at[2]!) && has(thing, at[2]!) }] : []
  const number = at && /^v?(\d+)$/.exec(at[2]!)
  return [
    ...[exact('run'), exact('execution'), exact('commit'), exact('logged model')],
    ...(number ? [{ kind: 'version' as const, test: ({ name }: Thing) => name === `${at[1]} v${number[1]}` }] : []),
    ...marked('data', datasetOf),
    ...marked('data', ({ path }) => path ?? ''),
    ...marked('file', ({ name }) => name),
    ...marked('version', modelOf),
    { kind: 'deployment', test: ({ name }) => name.slice(0, name.indexOf(':')) === text },
    { kind: 'data', test: (thing) => datasetOf(thing) === text },
    { kind: 'version', test: (thing) => modelOf(thing) === text },
    { kind: 'file', test: ({ name }) => name === text },
    { kind: 'data', test: ({ path }) => path === text },
    ...byDigest('version'),
    ...byDigest('data'),
    ...byDigest('file'),
    ...byDigest('commit'),
    ...byDigest('environment'),
    // Ids of one hour begin alike: people name the end.
    { kind: 'execution', test: ({ ref }) => text.length >= 6 && ref.endsWith(text) },
    // A path that something was declared below.
    { kind: 'file', test: ({ name }) => name.startsWith(`${text.replace(/\/+$/, '')}/`) },
  ]
}

const isMark = (text: string): boolean => /^(sha256:)?[0-9a-f]{4,64}$/.test(text)
const datasetOf = ({ name }: Thing): string => name.slice('data '.length)
const modelOf = ({ name }: Thing): string => name.slice(0, name.lastIndexOf(' v'))
