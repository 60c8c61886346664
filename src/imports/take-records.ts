import type { Tx } from '../db/index.ts'
import type { LoggedModelId, RunId } from '../kernel/ids.ts'
import { importedVersions } from '../registry/index.ts'
import { type ImportedRun, importedRuns, type MetricPoint } from '../tracking/index.ts'
import { idsIn, type MovedFolder, moveLocation } from './decide/move-location.ts'
import { nameOfRecord, refuseRecord } from './decide/refuse-record.ts'
import { importStore } from './import-store.ts'
import { type Import, type ImportItem, type Refusal, versionId } from './imports.ts'
import type {
  ExperimentRecord,
  ImportRecord,
  LoggedModelRecord,
  MetricValue,
  ModelVersionRecord,
  RegisteredModelRecord,
  RunRecord,
} from './imports-contract.ts'

type Entry<R extends ImportRecord = ImportRecord> = { index: number; record: R }
type Placed = { kind: ImportItem['kind']; id: string; target: string; joined: boolean; artifactUri?: string }
type Refused = { index: number; kind: string; name: string } & Refusal

export type Taken = { taken: number; refused: Refused[]; placed: Placed[] }

/** Takes what can be taken, in the order in which one thing needs another, and says of each other record why not. */
export async function takeRecords(tx: Tx, one: Import, records: readonly ImportRecord[]): Promise<Taken> {
  const batch = new Batch(records)
  await takeExperiments(tx, one, batch)
  await takeRuns(tx, one, batch)
  await takePoints(tx, one, batch)
  await takeLoggedModels(tx, one, batch)
  await takeRegisteredModels(tx, one, batch)
  await takeVersions(tx, one, batch)
  return batch.result()
}

class Batch {
  readonly #entries: Entry[]
  readonly #refused: Refused[] = []
  readonly #placed: Placed[] = []

  constructor(records: readonly ImportRecord[]) {
    this.#entries = records.map((record, index) => ({ index, record }))
    for (const entry of this.#entries) {
      const refusal = refuseRecord(entry.record)
      if (refusal) this.refuse(entry, refusal)
    }
  }

  of<K extends ImportRecord['kind']>(kind: K): Entry<Extract<ImportRecord, { kind: K }>>[] {
    const refused = new Set(this.#refused.map(({ index }) => index))
    return this.#entries.filter(
      (entry): entry is Entry<Extract<ImportRecord, { kind: K }>> =>
        entry.record.kind === kind && !refused.has(entry.index),
    )
  }

  refuse({ index, record }: Entry, refusal: Refusal): void {
    this.#refused.push({ index, kind: record.kind, name: nameOfRecord(record), ...refusal })
  }

  place(item: ImportItem): void {
    const { kind, sourceId, targetId, joined, targetUri } = item
    this.#placed.push({
      kind,
      id: sourceId,
      target: targetId,
      joined,
      ...(targetUri === undefined ? {} : { artifactUri: targetUri }),
    })
  }

  result(): Taken {
    return {
      taken: this.#entries.length - this.#refused.length,
      refused: this.#refused,
      placed: this.#placed,
    }
  }
}

async function takeExperiments(tx: Tx, one: Import, batch: Batch): Promise<void> {
  const entries = batch.of('experiment')
  const known = await importStore.items(
    tx,
    one.id,
    'experiment',
    entries.map(({ record }) => record.id),
  )
  for (const { record } of entries) {
    const item = known.get(record.id) ?? (await placeExperiment(tx, one, record))
    known.set(record.id, item)
    await importedRuns.addExperimentTags(tx, item.targetId, record.tags)
    batch.place(item)
  }
}

/**
 * One of that name here is joined, where both are alive or both deleted: it is what `set_experiment` would go on in. Otherwise it is
 * made, under its own number where that is free.
 */
async function placeExperiment(tx: Tx, one: Import, record: ExperimentRecord): Promise<ImportItem> {
  const named = await importedRuns.experimentNamed(tx, record.name)
  const joined = named?.lifecycle === record.lifecycle
  const foreign = one.artifacts === 'reference' && !record.artifactUri.startsWith('mlflow-artifacts:')
  const targetId =
    named && joined
      ? named.experimentId
      : await importedRuns.addExperiment(tx, {
          wantedId: record.id,
          name: named ? await freeName(tx, record.name) : record.name,
          lifecycle: record.lifecycle,
          createdAt: record.createdAt,
          updatedAt: record.updatedAt,
          tags: [],
          ...(foreign && record.artifactUri !== '' ? { artifactLocation: record.artifactUri } : {}),
        })
  const item: ImportItem = { kind: 'experiment', sourceId: record.id, targetId, joined }
  await importStore.addItems(tx, one.id, [item])
  return item
}

async function freeName(tx: Tx, name: string): Promise<string> {
  for (let round = 1; ; round++) {
    const candidate = round === 1 ? `${name} (imported)` : `${name} (imported ${round})`
    if (!(await importedRuns.experimentNamed(tx, candidate))) return candidate
  }
}

async function takeRuns(tx: Tx, one: Import, batch: Batch): Promise<void> {
  const entries = batch.of('run')
  if (entries.length === 0) return
  const ids = entries.map(({ record }) => record.id)
  const experiments = await experimentsOf(tx, one, entries)
  const known = await importStore.items(tx, one.id, 'run', ids)
  const here = await importedRuns.runsHere(tx, ids)
  const runs: ImportedRun[] = []
  const items: ImportItem[] = []
  for (const entry of entries) {
    const { record } = entry
    const experiment = experiments.get(record.experiment)
    const old = known.get(record.id)
    if (!experiment) batch.refuse(entry, withoutExperiment(record))
    else if (!old && here.has(record.id)) batch.refuse(entry, conflict(`run ${record.id}`))
    else {
      here.add(record.id)
      const item = old ?? itemOf(record, `${experiment}/${record.id}/artifacts`)
      items.push(item)
      runs.push(runOf(record, experiment, item.targetUri ?? record.artifactUri))
    }
  }
  await importedRuns.addRuns(tx, runs)
  await importStore.addItems(
    tx,
    one.id,
    items.filter((item) => !known.has(item.sourceId)),
  )
  for (const item of items) batch.place(item)
}

const runOf = (record: RunRecord, experimentId: string, artifactUri: string): ImportedRun => ({
  runId: record.id as RunId,
  experimentId,
  name: record.name,
  status: record.status,
  userId: record.user,
  startedAt: record.startedAt,
  endedAt: record.endedAt,
  lifecycle: record.lifecycle,
  deletedAt: record.deletedAt,
  artifactUri,
  params: record.params,
  tags: record.tags,
  datasetInputs: record.datasets.map(({ tags, ...dataset }) => ({
    dataset,
    tags: Object.fromEntries(tags.map(({ key, value }) => [key, value])),
  })),
  modelInputs: record.modelInputs,
  modelOutputs: record.modelOutputs.map(({ model, step }) => ({ modelId: model, step })),
})

async function takePoints(tx: Tx, one: Import, batch: Batch): Promise<void> {
  const entries = batch.of('points')
  if (entries.length === 0) return
  const known = await importStore.items(tx, one.id, 'run', [...new Set(entries.map(({ record }) => record.run))])
  const pointsOf = new Map<string, MetricPoint[]>()
  for (const entry of entries) {
    const { run, key, timestamps, steps, values } = entry.record
    if (!known.has(run)) {
      batch.refuse(entry, { reason: `run ${run} was not taken`, next: 'See why the run was refused.' })
      continue
    }
    const points = pointsOf.get(run) ?? []
    for (const [index, value] of values.entries())
      points.push({ key, value: numberOf(value), timestamp: timestamps[index]!, step: steps[index]! })
    pointsOf.set(run, points)
  }
  await importedRuns.addPoints(tx, pointsOf)
}

async function takeLoggedModels(tx: Tx, one: Import, batch: Batch): Promise<void> {
  const entries = batch.of('logged-model')
  if (entries.length === 0) return
  const ids = entries.map(({ record }) => record.id)
  const experiments = await experimentsOf(tx, one, entries)
  const known = await importStore.items(tx, one.id, 'logged-model', ids)
  const here = await importedRuns.loggedModelsHere(tx, ids)
  for (const entry of entries) {
    const { record } = entry
    const experiment = experiments.get(record.experiment)
    const old = known.get(record.id)
    if (!experiment) batch.refuse(entry, withoutExperiment(record))
    else if (!old && here.has(record.id)) batch.refuse(entry, conflict(`logged model ${record.id}`))
    else {
      here.add(record.id)
      const item = old ?? itemOf(record, `${experiment}/models/${record.id}/artifacts`)
      await importedRuns.addLoggedModels(tx, [loggedModelOf(record, experiment, item.targetUri ?? record.artifactUri)])
      if (!old) await importStore.addItems(tx, one.id, [item])
      batch.place(item)
    }
  }
}

const loggedModelOf = (record: LoggedModelRecord, experimentId: string, artifactUri: string) => ({
  modelId: record.id as LoggedModelId,
  experimentId,
  name: record.name,
  artifactUri,
  createdAt: record.createdAt,
  updatedAt: record.updatedAt,
  status: record.status,
  statusMessage: record.statusMessage,
  modelType: record.modelType,
  sourceRunId: record.run as RunId | undefined,
  lifecycle: record.lifecycle,
  params: record.params,
  tags: record.tags,
  metrics: record.metrics.map(({ run, value, ...metric }) => ({
    ...metric,
    runId: run as RunId,
    value: numberOf(value),
  })),
})

async function takeRegisteredModels(tx: Tx, one: Import, batch: Batch): Promise<void> {
  const entries = batch.of('registered-model')
  const names = entries.map(({ record }) => record.name)
  const known = await importStore.items(tx, one.id, 'registered-model', names)
  for (const entry of entries) {
    const { record } = entry
    const old = known.get(record.name)
    if (!old && (await importedVersions.modelHere(tx, record.name)))
      batch.refuse(entry, conflict(`registered model "${record.name}"`))
    else batch.place(old ?? (await placeModel(tx, one, record)))
  }
}

async function placeModel(tx: Tx, one: Import, record: RegisteredModelRecord): Promise<ImportItem> {
  await importedVersions.addModel(tx, { ...record, description: record.description })
  const item: ImportItem = {
    kind: 'registered-model',
    sourceId: record.name,
    targetId: record.name,
    joined: false,
  }
  await importStore.addItems(tx, one.id, [item])
  return item
}

async function takeVersions(tx: Tx, one: Import, batch: Batch): Promise<void> {
  const entries = batch.of('model-version')
  if (entries.length === 0) return
  const models = await importStore.items(tx, one.id, 'registered-model', [
    ...new Set(entries.map(({ record }) => record.model)),
  ])
  const ids = entries.map(({ record }) => versionId(record.model, record.version))
  const known = await importStore.items(tx, one.id, 'model-version', ids)
  const roots = await rootsOf(
    tx,
    one,
    entries.map(({ record }) => record),
  )
  for (const entry of entries) {
    const { record } = entry
    const id = versionId(record.model, record.version)
    if (!models.has(record.model))
      batch.refuse(entry, {
        reason: `registered model "${record.model}" was not taken`,
        next: 'See why the model was refused.',
      })
    else if (!known.has(id) && (await importedVersions.versionHere(tx, record.model, record.version)))
      batch.refuse(entry, conflict(`version ${record.version} of "${record.model}"`))
    else {
      await importedVersions.addVersion(tx, versionOf(record, roots))
      const item: ImportItem = { kind: 'model-version', sourceId: id, targetId: id, joined: false }
      if (!known.has(id)) await importStore.addItems(tx, one.id, [item])
      batch.place(item)
    }
  }
}

type Roots = { folders: MovedFolder[]; byId: ReadonlyMap<string, string> }

/** Where the artifacts lie here of every run and logged model that the versions may come from. */
async function rootsOf(tx: Tx, one: Import, versions: readonly ModelVersionRecord[]): Promise<Roots> {
  const ids = new Set(
    versions.flatMap(({ run, loggedModel, source, storageLocation }) => [
      ...(run === undefined ? [] : [run]),
      ...(loggedModel === undefined ? [] : [loggedModel]),
      ...idsIn(source),
      ...idsIn(storageLocation ?? ''),
    ]),
  )
  const items = [
    ...(await importStore.items(tx, one.id, 'run', [...ids])).values(),
    ...(await importStore.items(tx, one.id, 'logged-model', [...ids])).values(),
  ]
  return {
    folders: items.flatMap(({ sourceUri, targetUri }) =>
      sourceUri === undefined || targetUri === undefined ? [] : [{ from: sourceUri, to: targetUri }],
    ),
    byId: new Map(items.map((item) => [item.sourceId, item.targetUri ?? item.sourceUri ?? ''])),
  }
}

function versionOf(record: ModelVersionRecord, { folders, byId }: Roots) {
  const { run, loggedModel, user, storageLocation, ...version } = record
  return {
    ...version,
    description: record.description,
    userId: user,
    runId: run as RunId | undefined,
    loggedModelId: loggedModel as LoggedModelId | undefined,
    runLink: record.runLink,
    statusMessage: record.statusMessage,
    source: moveLocation(record.source, folders),
    storageLocation: moveLocation(resolved(storageLocation ?? record.source, byId), folders),
  }
}

/** `runs:/RUN/path` and `models:/m-…` are where that run's or model's artifacts are. */
function resolved(location: string, byId: Roots['byId']): string {
  const [, id, path] = /^(?:runs|models):\/+([^/]+)(\/.*)?$/.exec(location) ?? []
  const root = id === undefined ? undefined : byId.get(id)
  return root ? `${root}${path ?? ''}` : location
}

async function experimentsOf(
  tx: Tx,
  one: Import,
  entries: readonly Entry<RunRecord | LoggedModelRecord>[],
): Promise<Map<string, string>> {
  const ids = [...new Set(entries.map(({ record }) => record.experiment))]
  const items = await importStore.items(tx, one.id, 'experiment', ids)
  return new Map([...items].map(([id, item]) => [id, item.targetId]))
}

const itemOf = (record: RunRecord | LoggedModelRecord, folder: string): ImportItem => ({
  kind: record.kind,
  sourceId: record.id,
  targetId: record.id,
  joined: false,
  sourceUri: record.artifactUri,
  ...(record.artifacts === 'copied' ? { targetUri: `mlflow-artifacts:/${folder}` } : {}),
})

const withoutExperiment = (record: RunRecord | LoggedModelRecord): Refusal => ({
  reason: `its experiment ${record.experiment} was not taken`,
  next: 'See why the experiment was refused.',
})

const conflict = (what: string): Refusal => ({
  reason: `${what} is here already and did not come from this source`,
  next: 'Nothing of it was changed. Delete it here for good, rename it at the source, or go without it.',
})

const numberOf = (value: MetricValue): number => (typeof value === 'number' ? value : Number(value))
