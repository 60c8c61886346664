import type { Facts, ImportRecord, ItemKind, LoggedModelRecord, RunRecord } from '../imports/imports-contract.ts'
import {
  experimentFacts,
  loggedModelFacts,
  modelVersionFacts,
  registeredModelFacts,
  runFacts,
} from '../imports/item-facts-contract.ts'
import { eachOf } from './mlflow-sources/each-of.ts'
import type { Source, SourceFile, SourceRun } from './mlflow-sources/source.ts'

/** An item whose last record is in the batch: with its files it is whole. */
export type WholeItem = { kind: ItemKind; id: string; facts: Facts; files: SourceFile[] }
export type Batch = { records: ImportRecord[]; whole: WholeItem[] }

export type StreamOptions = {
  artifacts: 'copy' | 'reference'
  /** Names or ids; all where it is left out. */
  experiments?: ReadonlySet<string>
  /** Of these ids those that are not whole here yet. */
  left: (kind: ItemKind, ids: readonly string[]) => Promise<readonly string[]>
  /** Everything that the source has of the selection, whether or not it has to be taken. */
  seen: (kind: ItemKind, id: string) => void
  /** Its artifacts cannot be reached from here, so they stay where they are. */
  stays: (artifactUri: string) => void
}

const batchBytes = 4_000_000
const batchRecords = 2_000
const foldersAtOnce = 8

/** The source as batches of some megabytes, in the order in which one thing needs another; what is whole here is passed over. */
export async function* importStream(source: Source, options: StreamOptions): AsyncGenerator<Batch> {
  const filling = new Filling()
  const chosen: string[] = []
  for await (const record of source.experiments()) {
    if (options.experiments && !options.experiments.has(record.name) && !options.experiments.has(record.id)) continue
    chosen.push(record.id)
    options.seen('experiment', record.id)
    const artifactUri = source.reference(record.artifactUri)
    filling.add({ ...record, artifactUri })
    filling.whole({ kind: 'experiment', id: record.id, facts: experimentFacts(record), files: [] })
  }
  yield* filling.rest()
  for (const experiment of chosen) {
    for await (const runs of source.runs(experiment)) yield* streamRuns(source, runs, filling, options)
    yield* streamLoggedModels(source, experiment, filling, options)
  }
  yield* filling.rest()
  if (!options.experiments) yield* streamRegistry(source, filling, options)
  yield* filling.rest()
}

async function* streamRuns(source: Source, runs: SourceRun[], filling: Filling, options: StreamOptions) {
  for (const { record } of runs) options.seen('run', record.id)
  const left = new Set(
    await options.left(
      'run',
      runs.map(({ record }) => record.id),
    ),
  )
  const wanted = runs.filter(({ record }) => left.has(record.id))
  const located = eachOf(wanted, foldersAtOnce, async (listed) => {
    const run = await source.whole(listed)
    return { run, ...(await locate(source, run.record, options)) }
  })
  const ready: { run: SourceRun; record: RunRecord; files: SourceFile[] | undefined }[] = []
  for await (const one of located) {
    filling.add(one.record)
    ready.push(one)
    yield* filling.full()
  }
  const points = new Map<string, number>()
  for await (const record of source.points(ready.map(({ run }) => run))) {
    filling.add(record)
    points.set(record.run, (points.get(record.run) ?? 0) + record.values.length)
    yield* filling.full()
  }
  for (const { run, record, files } of ready) {
    const facts = runFacts(record, { latest: run.latest, points: points.get(record.id) ?? 0, artifacts: files })
    filling.whole({ kind: 'run', id: record.id, facts, files: files ?? [] })
  }
  // What is whole is soon told as whole: after a kill it is not taken again.
  yield* filling.rest()
}

async function* streamLoggedModels(source: Source, experiment: string, filling: Filling, options: StreamOptions) {
  for await (const model of source.loggedModels(experiment)) {
    options.seen('logged-model', model.id)
    if ((await options.left('logged-model', [model.id])).length === 0) continue
    const { record, files } = await locate(source, model, options)
    filling.add(record)
    filling.whole({ kind: 'logged-model', id: model.id, facts: loggedModelFacts(record, files), files: files ?? [] })
    yield* filling.full()
  }
}

async function* streamRegistry(source: Source, filling: Filling, options: StreamOptions) {
  for await (const model of source.registeredModels()) {
    options.seen('registered-model', model.name)
    const versions = await collect(source.versions(model.name))
    const next = Math.max(model.nextVersion, ...versions.map(({ version }) => version + 1))
    filling.add({ ...model, nextVersion: next })
    filling.whole({ kind: 'registered-model', id: model.name, facts: registeredModelFacts(model), files: [] })
    for (const version of versions) {
      const id = `${model.name}/${version.version}`
      options.seen('model-version', id)
      filling.add(version)
      filling.whole({ kind: 'model-version', id, facts: modelVersionFacts(version), files: [] })
    }
    yield* filling.full()
  }
}

/** What its artifacts are and where they will lie. What cannot be reached from here stays where it is, and is told. */
async function locate<R extends RunRecord | LoggedModelRecord>(
  source: Source,
  record: R,
  { artifacts, stays }: StreamOptions,
): Promise<{ record: R; files: SourceFile[] | undefined }> {
  const files = artifacts === 'copy' ? await source.files(record) : undefined
  if (files) return { record: { ...record, artifacts: 'copied' }, files }
  if (artifacts === 'copy') stays(record.artifactUri)
  return {
    record: { ...record, artifactUri: source.reference(record.artifactUri), artifacts: 'there' },
    files: undefined,
  }
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

/** Records until they make a batch. */
class Filling {
  #batch: Batch = { records: [], whole: [] }
  #bytes = 0

  add(record: ImportRecord): void {
    this.#batch.records.push(record)
    this.#bytes += sizeOf(record)
  }

  whole(item: WholeItem): void {
    this.#batch.whole.push(item)
  }

  *full(): Generator<Batch> {
    if (this.#bytes >= batchBytes || this.#batch.records.length >= batchRecords) yield this.#take()
  }

  *rest(): Generator<Batch> {
    if (this.#batch.records.length > 0 || this.#batch.whole.length > 0) yield this.#take()
  }

  #take(): Batch {
    const batch = this.#batch
    this.#batch = { records: [], whole: [] }
    this.#bytes = 0
    return batch
  }
}

/** Roughly, as JSON. */
function sizeOf(record: ImportRecord): number {
  if (record.kind === 'points') return 100 + record.values.length * 40
  return JSON.stringify(record).length
}
