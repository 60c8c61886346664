import { createReadStream } from 'node:fs'
import { readdir, readFile, realpath } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { parse } from 'yaml'
import type {
  ExperimentRecord,
  LoggedModelRecord,
  ModelVersionRecord,
  RegisteredModelRecord,
  RunRecord,
} from '../../imports/imports-contract.ts'
import type { LatestMetric } from '../../imports/item-facts-contract.ts'
import { AppError, messageOf } from '../../kernel/errors.ts'
import { filesBelow, isFolder, localPath } from './local-files.ts'
import { isLater, metricValue, PointsBuilder, type Problem, readNumber, type Source, type SourceRun } from './source.ts'

type Meta = Record<string, unknown>
type Pairs = { key: string; value: string }[]

const runsAtOnce = 200
/** Folders of an experiment that are no runs. */
const reserved = new Set(['tags', 'datasets', 'traces', 'models'])
const runStatuses = { 1: 'RUNNING', 2: 'SCHEDULED', 3: 'FINISHED', 4: 'FAILED', 5: 'KILLED' } as const
const modelStatuses = { 1: 'PENDING', 2: 'READY', 3: 'FAILED' } as const
const stages = ['None', 'Staging', 'Production', 'Archived'] as const

/** An `mlruns/` folder, as MLflow's FileStore of 2.x and 3.x writes it. Source: mlflow 3.17.2, store/tracking/file_store.py. */
export async function openFolder(path: string, tell: (problem: Problem) => void): Promise<Source> {
  const root = await realpath(path).catch(() => path)
  if (!(await isFolder(root)))
    throw new AppError('NotFound', `${path} is no folder.`, 'Name an mlruns/ folder, a database or a server.')
  const reader = new FolderReader(root, tell)
  return {
    uri: pathToFileURL(root).href,
    title: `the folder ${root}`,
    experiments: () => reader.experiments(),
    runs: (id) => reader.runs(id),
    whole: async (run) => run,
    points: (runs) => reader.points(runs),
    loggedModels: (id) => reader.loggedModels(id),
    registeredModels: () => reader.registeredModels(),
    versions: (model) => reader.versions(model),
    files: (owner) => reader.files(owner),
    reference: (uri) => uri,
    close: async () => {},
  }
}

class FolderReader {
  readonly #root: string
  readonly #tell: (problem: Problem) => void
  readonly #points: PointsBuilder
  /** Found while experiments are listed: deleted ones lie in `.trash`. */
  readonly #folderOf = new Map<string, string>()
  readonly #modelFolders = new Map<string, string>()

  constructor(root: string, tell: (problem: Problem) => void) {
    this.#root = root
    this.#tell = (problem) => tell({ ...problem, place: problem.place.replace(`${root}/`, '') })
    this.#points = new PointsBuilder(tell)
  }

  async *experiments(): AsyncGenerator<ExperimentRecord> {
    const folders = [
      ...(await subfolders(this.#root)).filter((name) => name !== '.trash' && name !== 'models'),
      ...(await subfolders(join(this.#root, '.trash'))).map((name) => `.trash/${name}`),
    ]
    for (const folder of folders) {
      const meta = await this.#meta(join(this.#root, folder))
      if (!meta) continue
      const id = textOf(meta.experiment_id)
      if (id !== basename(folder)) {
        this.#problem(join(folder, 'meta.yaml'), `it says experiment ${id}`)
        continue
      }
      this.#folderOf.set(id, join(this.#root, folder))
      yield {
        kind: 'experiment',
        id,
        name: textOf(meta.name) || `experiment ${id}`,
        lifecycle: meta.lifecycle_stage === 'deleted' ? 'deleted' : 'active',
        createdAt: timeOf(meta.creation_time),
        updatedAt: timeOf(meta.last_update_time),
        artifactUri: textOf(meta.artifact_location),
        tags: await this.#pairs(join(this.#root, folder, 'tags')),
      }
    }
  }

  async *runs(experimentId: string): AsyncGenerator<SourceRun[]> {
    const folder = this.#folderOf.get(experimentId)!
    let page: SourceRun[] = []
    for (const name of await subfolders(folder)) {
      if (reserved.has(name)) continue
      const run = await this.#run(experimentId, join(folder, name))
      if (run) page.push(run)
      if (page.length < runsAtOnce) continue
      yield page
      page = []
    }
    if (page.length > 0) yield page
  }

  async *points(runs: readonly SourceRun[]) {
    for (const { record } of runs) {
      const folder = join(this.#folderOf.get(record.experiment)!, record.id, 'metrics')
      for (const key of await filesUnder(folder)) {
        const points: { timestamp: number; step: number; value: ReturnType<typeof metricValue> }[] = []
        for await (const line of this.#metricLines(join(folder, key), [2, 3, 5])) points.push(line)
        yield* this.#points.records(record.id, key, points)
      }
    }
  }

  async *loggedModels(experimentId: string): AsyncGenerator<LoggedModelRecord> {
    const folder = join(this.#folderOf.get(experimentId)!, 'models')
    for (const name of await subfolders(folder)) {
      const place = join(folder, name)
      const meta = await this.#meta(place)
      if (!meta) continue
      const id = textOf(meta.model_id) || name
      this.#modelFolders.set(id, place)
      yield {
        kind: 'logged-model',
        id,
        experiment: experimentId,
        name: textOf(meta.name),
        status: named(modelStatuses, meta.status) ?? 'PENDING',
        ...optional('statusMessage', meta.status_message),
        ...optional('modelType', meta.model_type),
        ...optional('run', meta.source_run_id),
        createdAt: timeOf(meta.creation_timestamp),
        updatedAt: timeOf(meta.last_updated_timestamp),
        lifecycle: meta.lifecycle_stage === 'deleted' ? 'deleted' : 'active',
        artifactUri: textOf(meta.artifact_location),
        artifacts: 'there',
        params: await this.#pairs(join(place, 'params')),
        tags: await this.#pairs(join(place, 'tags')),
        metrics: await this.#modelMetrics(join(place, 'metrics')),
      }
    }
  }

  async *registeredModels(): AsyncGenerator<RegisteredModelRecord> {
    for (const folder of await subfolders(join(this.#root, 'models'))) {
      const place = join(this.#root, 'models', folder)
      const meta = await this.#meta(place)
      if (!meta) continue
      const numbers = (await subfolders(place)).flatMap((name) => /^version-(\d+)$/.exec(name)?.[1] ?? [])
      yield {
        kind: 'registered-model',
        name: textOf(meta.name) || folder,
        ...optional('description', meta.description),
        createdAt: timeOf(meta.creation_timestamp),
        updatedAt: timeOf(meta.last_updated_timestamp),
        tags: await this.#pairs(join(place, 'tags')),
        nextVersion: Math.max(0, ...numbers.map(Number)) + 1,
      }
    }
  }

  async *versions(model: string): AsyncGenerator<ModelVersionRecord> {
    const place = join(this.#root, 'models', model)
    const aliases = await this.#pairs(join(place, 'aliases'))
    const folders = (await subfolders(place)).filter((name) => /^version-\d+$/.test(name))
    for (const folder of folders.sort((a, b) => Number(a.slice(8)) - Number(b.slice(8)))) {
      const meta = await this.#meta(join(place, folder))
      const version = Number(folder.slice(8))
      // A deleted version's folder only keeps its number taken.
      if (!meta || meta.current_stage === 'Deleted_Internal') continue
      yield {
        kind: 'model-version',
        model,
        version,
        createdAt: timeOf(meta.creation_timestamp),
        updatedAt: timeOf(meta.last_updated_timestamp),
        ...optional('description', meta.description),
        ...optional('user', meta.user_id),
        stage: stages.find((stage) => stage === meta.current_stage) ?? 'None',
        source: textOf(meta.source),
        ...optional('storageLocation', meta.storage_location),
        ...optional('run', meta.run_id),
        ...optional('runLink', meta.run_link),
        status: textOf(meta.status) || 'READY',
        ...optional('statusMessage', meta.status_message),
        ...optional('loggedModel', meta.model_id),
        tags: await this.#pairs(join(place, folder, 'tags')),
        aliases: aliases.filter(({ value }) => Number(value) === version).map(({ key }) => key),
      }
    }
  }

  /** Where the URI says; where the folder was moved to this machine, beside the records. */
  async files(owner: RunRecord | LoggedModelRecord) {
    const named = localPath(owner.artifactUri)
    const beside =
      owner.kind === 'run'
        ? join(this.#folderOf.get(owner.experiment)!, owner.id, 'artifacts')
        : join(this.#modelFolders.get(owner.id)!, 'artifacts')
    for (const folder of [named, beside]) if (folder && (await isFolder(folder))) return filesBelow(folder, this.#tell)
    return named === undefined ? undefined : []
  }

  async #run(experimentId: string, folder: string): Promise<SourceRun | undefined> {
    const meta = await this.#meta(folder)
    if (!meta) return undefined
    const id = textOf(meta.run_id) || textOf(meta.run_uuid)
    if (id !== basename(folder)) {
      this.#problem(join(folder, 'meta.yaml'), `it says run ${id}`)
      return undefined
    }
    const status = named(runStatuses, meta.status ?? 1)
    if (!status) {
      this.#problem(join(folder, 'meta.yaml'), `status ${textOf(meta.status)} is none of MLflow's`)
      return undefined
    }
    const tags = await this.#pairs(join(folder, 'tags'))
    const record: RunRecord = {
      kind: 'run',
      id,
      experiment: experimentId,
      name: textOf(meta.run_name) || (tags.find(({ key }) => key === 'mlflow.runName')?.value ?? ''),
      status,
      user: textOf(meta.user_id),
      startedAt: timeOf(meta.start_time),
      ...(meta.end_time == null ? {} : { endedAt: timeOf(meta.end_time) }),
      lifecycle: meta.lifecycle_stage === 'deleted' ? 'deleted' : 'active',
      ...(meta.deleted_time == null ? {} : { deletedAt: timeOf(meta.deleted_time) }),
      artifactUri: textOf(meta.artifact_uri),
      artifacts: 'there',
      params: await this.#pairs(join(folder, 'params')),
      tags,
      ...(await this.#inputs(experimentId, folder)),
      modelOutputs: await this.#outputs(folder),
    }
    return { record, latest: await this.#latest(join(folder, 'metrics')) }
  }

  async #latest(folder: string): Promise<LatestMetric[]> {
    const latest: LatestMetric[] = []
    for (const key of await filesUnder(folder)) {
      let last: { timestamp: number; step: number; value: ReturnType<typeof metricValue> } | undefined
      // Told when the points themselves are read.
      for await (const line of this.#metricLines(join(folder, key), [2, 3, 5], () => {}))
        if (line.timestamp >= 0 && (!last || isLater(line, last))) last = line
      if (last) latest.push({ key, ...last })
    }
    return latest
  }

  async #inputs(experimentId: string, folder: string): Promise<Pick<RunRecord, 'datasets' | 'modelInputs'>> {
    const datasets: RunRecord['datasets'] = []
    const modelInputs: string[] = []
    for (const name of await subfolders(join(folder, 'inputs'))) {
      const meta = await this.#meta(join(folder, 'inputs', name))
      if (!meta) continue
      const source = textOf(meta.source_id)
      if (meta.source_type === 'MODEL') modelInputs.push(source)
      else {
        const dataset = await this.#meta(join(this.#folderOf.get(experimentId)!, 'datasets', source))
        if (dataset) datasets.push({ ...datasetOf(dataset), tags: pairsOf(meta.tags) })
      }
    }
    return { datasets, modelInputs }
  }

  async #outputs(folder: string): Promise<RunRecord['modelOutputs']> {
    const outputs: RunRecord['modelOutputs'] = []
    for (const model of await subfolders(join(folder, 'outputs'))) {
      const meta = await this.#meta(join(folder, 'outputs', model))
      if (meta) outputs.push({ model, step: Number(meta.step ?? 0) })
    }
    return outputs
  }

  async #modelMetrics(folder: string): Promise<LoggedModelRecord['metrics']> {
    const metrics: LoggedModelRecord['metrics'] = []
    for (const key of await filesUnder(folder))
      for await (const { timestamp, step, value, rest } of this.#metricLines(join(folder, key), [4, 6]))
        metrics.push({
          key,
          timestamp,
          step,
          value,
          run: rest[0]!,
          ...(rest.length > 1 ? { datasetName: rest[1]!, datasetDigest: rest[2]! } : {}),
        })
    return metrics
  }

  /** `time value [step] …`; how many words a line may have is the file's kind. */
  async *#metricLines(file: string, lengths: readonly number[], tell = this.#tell) {
    const lines = createInterface({ input: createReadStream(file, 'utf8'), crlfDelay: Infinity })
    let number = 0
    for await (const line of lines) {
      number++
      const words = line.trim().split(' ')
      const [timestamp, value, step] = [wholeNumber(words[0]), readNumber(words[1]), wholeNumber(words[2] ?? '0')]
      if (lengths.includes(words.length) && timestamp !== undefined && value !== undefined && step !== undefined)
        yield { timestamp, step, value: metricValue(value), rest: words.slice(3) }
      else tell({ place: `${file}:${number}`, reason: `"${line.slice(0, 100)}" is no point of a metric` })
    }
  }

  async #pairs(folder: string): Promise<Pairs> {
    const pairs: Pairs = []
    for (const key of await filesUnder(folder)) pairs.push({ key, value: await readFile(join(folder, key), 'utf8') })
    return pairs
  }

  async #meta(folder: string): Promise<Meta | undefined> {
    const file = join(folder, 'meta.yaml')
    try {
      const meta: unknown = parse(await readFile(file, 'utf8'))
      if (typeof meta === 'object' && meta !== null && !Array.isArray(meta)) return meta as Meta
      this.#problem(file, 'it is empty')
    } catch (error) {
      const line = (error as { linePos?: { line: number }[] }).linePos?.[0]?.line
      this.#problem(line === undefined ? file : `${file}:${line}`, messageOf(error).split('\n')[0]!)
    }
    return undefined
  }

  #problem(place: string, reason: string): void {
    this.#tell({ place, reason })
  }
}

const datasetOf = (meta: Meta) => ({
  name: textOf(meta.name),
  digest: textOf(meta.digest),
  sourceType: textOf(meta.source_type),
  source: textOf(meta.source),
  ...optional('schema', meta.schema),
  ...optional('profile', meta.profile),
})

async function subfolders(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort()
}

/** A key may hold slashes: then it is a file in a folder. */
async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => [])
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort()
}

const named = <T extends string>(names: Readonly<Record<number, T>>, value: unknown): T | undefined =>
  typeof value === 'number' ? names[value] : Object.values(names).find((name) => name === value)

const textOf = (value: unknown): string =>
  typeof value === 'string' ? value : typeof value === 'number' || typeof value === 'bigint' ? String(value) : ''

const timeOf = (value: unknown): number => (Number.isSafeInteger(value) ? (value as number) : 0)

const wholeNumber = (text: string | undefined): number | undefined =>
  text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined

const optional = <K extends string>(key: K, value: unknown): { [P in K]?: string } =>
  (textOf(value) === '' ? {} : { [key]: textOf(value) }) as { [P in K]?: string }

const pairsOf = (value: unknown): Pairs =>
  Object.entries((value ?? {}) as Record<string, unknown>).map(([key, text]) => ({ key, value: textOf(text) }))
