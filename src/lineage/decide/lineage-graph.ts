import type { DatasetVersion } from '../../artifacts/index.ts'
import type { KeyParts } from '../../planning/index.ts'

/**
 * What there is to ask of: `data`: one content of a dataset; `file`: one content of a path, from Git or written by a step;
 * `environment`: a Python environment's lock; `deployment`: an environment in which a version served.
 */
export type ThingKind =
  | 'commit'
  | 'environment'
  | 'data'
  | 'file'
  | 'execution'
  | 'run'
  | 'logged model'
  | 'version'
  | 'deployment'
  | 'prediction'

export type Thing = {
  /** kind and what names it, one of a kind within the project. */
  id: string
  kind: ThingKind
  name: string
  /** Digest, commit, execution id, run id: what others know it by. */
  ref: string
  /** Of a run: when it ended. */
  at?: number
  /** Of a run, where it is known. */
  startedAt?: number
  /** Where a dataset lies in the repository. */
  path?: string
}

export type Line = { from: string; to: string }
export type LineageGraph = { things: ReadonlyMap<string, Thing>; lines: readonly Line[] }

export type LineageFacts = {
  executions: readonly {
    id: string
    commit: string
    createdAt: number
    data: readonly { dataset: string; path: string; digest: string }[]
  }[]
  /** Steps that were carried out, one per MLflow run. */
  runs: readonly {
    runId: string
    executionId: string
    step: string
    startedAt?: number
    endedAt?: number
    key?: KeyParts
    outs: Readonly<Record<string, string>>
    model?: { name: string; loggedModelId: string; tree: string }
  }[]
  versions: readonly { digest: string; model: string; version: number; loggedModelId: string; createdAt: number }[]
  datasets: readonly DatasetVersion[]
  served: readonly { environment: string; digest: string; at: number }[]
}

export const thingId = {
  data: (dataset: string, digest: string) => `data:${dataset}@${digest}`,
  file: (path: string, digest: string) => `file:${path}@${digest}`,
  version: (digest: string) => `version:${digest}`,
  deployment: (environment: string, digest: string) => `deployment:${environment}@${digest}`,
}

/** Everything that was recorded of how one thing led to another, as one graph: lines go from what was taken to what came of it. */
export function lineageGraph(facts: LineageFacts): LineageGraph {
  const things = new Map<string, Thing>()
  const lines = new Map<string, Line>()
  const add = (thing: Thing): string => {
    if (!things.has(thing.id)) things.set(thing.id, thing)
    return thing.id
  }
  const connect = (from: string, to: string) => lines.set(`${from}\n${to}`, { from, to })

  addDatasets(facts, add, connect)
  const executions = new Map(facts.executions.map((one) => [one.id, one]))
  const loggedByTree = new Map(facts.runs.flatMap(({ model }) => (model ? [[model.tree, model] as const] : [])))
  for (const run of facts.runs) {
    const execution = executions.get(run.executionId)
    const id = add({
      ...{ id: `run:${run.runId}`, kind: 'run', name: run.step, ref: run.runId },
      ...atOf(run.endedAt),
      ...(run.startedAt === undefined ? {} : { startedAt: run.startedAt }),
    })
    if (execution) {
      const { commit, createdAt: at } = execution
      const pass = add({
        ...{ id: `execution:${execution.id}`, kind: 'execution' },
        ...{ name: `execution ${execution.id.slice(-8)}`, ref: execution.id, at },
      })
      connect(
        add({ id: `commit:${commit}`, kind: 'commit', name: `commit ${commit.slice(0, 12)}`, ref: commit, at }),
        pass,
      )
      connect(pass, id)
    }
    if (run.key && run.key.environment !== 'none')
      connect(
        add({
          id: `environment:${run.key.environment}`,
          kind: 'environment',
          name: 'Python environment',
          ref: run.key.environment,
        }),
        id,
      )
    for (const [path, content] of Object.entries(run.key?.files ?? {})) connect(inputOf(path, content), id)
    for (const [path, digest] of Object.entries(run.outs)) connect(id, add(fileThing(path, digest)))
    if (run.model) connect(id, add(loggedModel(run.model)))

    function inputOf(path: string, content: string): string {
      // A file of Git may be marked as executable behind its digest.
      const digest = content.split(' ')[0]!
      const logged = path.startsWith('model:') ? loggedByTree.get(digest) : undefined
      if (logged) return add(loggedModel(logged))
      const data = execution?.data.find((one) => one.path === path && one.digest === digest)
      return add(data ? dataThing(data.dataset, digest) : fileThing(path, digest))
    }
  }
  addVersions(facts, add, connect)
  for (const { dataset, digest, path } of facts.executions.flatMap(({ data }) => data)) {
    const thing = things.get(thingId.data(dataset, digest))
    if (thing) things.set(thing.id, { ...thing, path })
  }
  return { things, lines: [...lines.values()] }
}

type Add = (thing: Thing) => string
type Connect = (from: string, to: string) => void

/** Joined data comes from its parts; labelled rows come from what served when they were asked for. */
function addDatasets({ datasets, served }: LineageFacts, add: Add, connect: Connect): void {
  for (const { dataset, digest, origin, createdAt } of datasets) {
    const id = add(dataThing(dataset, digest, createdAt))
    if (origin.kind === 'joined')
      for (const part of [origin.base, origin.added]) connect(add(dataThing(dataset, part)), id)
    if (origin.kind === 'part') connect(add(dataThing(dataset, origin.of)), id)
    if (origin.kind === 'labelled predictions')
      for (const { environment, digest: version, at } of served)
        if (environment === origin.environment && at <= origin.until)
          connect(thingId.deployment(environment, version), id)
  }
}

function addVersions({ versions, served }: LineageFacts, add: Add, connect: Connect): void {
  const names = new Map<string, string>()
  for (const { digest, model, version, loggedModelId, createdAt: at } of versions) {
    const name = `${model} v${version}`
    names.set(digest, name)
    const id = add({ id: thingId.version(digest), kind: 'version', name, ref: digest, at })
    connect(add(loggedModel({ name: model, loggedModelId })), id)
  }
  for (const { environment, digest, at } of served) {
    const id = add({
      ...{ id: thingId.deployment(environment, digest), kind: 'deployment', ref: digest, at },
      name: `${environment}: ${names.get(digest) ?? 'an unknown version'}`,
    })
    connect(thingId.version(digest), id)
  }
}

const dataThing = (dataset: string, digest: string, at?: number): Thing => ({
  ...{ id: thingId.data(dataset, digest), kind: 'data', name: `data ${dataset}`, ref: digest },
  ...atOf(at),
})

const fileThing = (path: string, digest: string): Thing => ({
  id: thingId.file(path, digest),
  kind: 'file',
  name: path,
  ref: digest,
})

const loggedModel = ({ name, loggedModelId }: { name: string; loggedModelId: string }): Thing => ({
  ...{ id: `logged model:${loggedModelId}`, kind: 'logged model', name: `model ${name}`, ref: loggedModelId },
})

const atOf = (at: number | undefined): { at?: number } => (at === undefined ? {} : { at })

export type Direction = 'up' | 'down' | 'both'

/** `distance`: steps away from what was asked for, negative upstream. */
export type Reached = Thing & { distance: number; asked?: true }
export type Walked = { things: Reached[]; lines: Line[]; more: boolean }

const most = 2_000

/**
 * What a thing came from and what came of it, so many steps far. `more`: there is more than was walked to.
 * Lines whose ends were never recorded as things are left out.
 */
export function walk(
  graph: LineageGraph,
  starts: readonly string[],
  { direction, depth }: { direction: Direction; depth: number },
): Walked {
  const reached = new Map<string, number>(starts.map((id) => [id, 0]))
  let more = false
  for (const way of direction === 'both' ? (['up', 'down'] as const) : [direction]) {
    const next = neighbours(graph, way)
    const sign = way === 'up' ? -1 : 1
    let frontier = [...starts]
    for (let distance = 1; frontier.length > 0; distance++) {
      const found: string[] = []
      for (const id of frontier)
        for (const other of next.get(id) ?? []) {
          if (reached.has(other) || !graph.things.has(other)) continue
          if (distance > depth || reached.size >= most) {
            more = true
            continue
          }
          reached.set(other, sign * distance)
          found.push(other)
        }
      frontier = found
    }
  }
  const things = [...reached].flatMap(([id, distance]): Reached[] => {
    const thing = graph.things.get(id)
    return thing ? [{ ...thing, distance, ...(distance === 0 ? { asked: true as const } : {}) }] : []
  })
  things.sort((a, b) => a.distance - b.distance || (a.id < b.id ? -1 : 1))
  return { things, lines: graph.lines.filter(({ from, to }) => reached.has(from) && reached.has(to)), more }
}

function neighbours({ lines }: LineageGraph, way: 'up' | 'down'): Map<string, string[]> {
  const next = new Map<string, string[]>()
  for (const { from, to } of lines) {
    const [at, other] = way === 'up' ? [to, from] : [from, to]
    const known = next.get(at)
    if (known) known.push(other)
    else next.set(at, [other])
  }
  return next
}
