import { createHash } from 'node:crypto'
import { createWriteStream, existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { pathToFileURL } from 'node:url'
import { stringify } from 'yaml'
import type {
  ExperimentRecord,
  LoggedModelRecord,
  MetricValue,
  ModelVersionRecord,
  PointsRecord,
  RegisteredModelRecord,
  RunRecord,
} from '../../imports/imports-contract.ts'
import { AppError } from '../../kernel/errors.ts'
import type { SourceFile } from './source.ts'

/** Beside the records: says that the folder is ours, and from where it came. */
const markName = '.modelwright-export.json'
const runStatus = { RUNNING: 1, SCHEDULED: 2, FINISHED: 3, FAILED: 4, KILLED: 5 } as const
const modelStatus = { PENDING: 1, READY: 2, FAILED: 3 } as const
const sourceTypeLocal = 4

/**
 * An `mlruns/` folder in the form of MLflow's FileStore. A run, model or version is written beside the folder and moved into it when it
 * is whole: what is there is whole, and an export that broke off goes on. Source: mlflow 3.17.2, store/tracking/file_store.py and
 * store/model_registry/file_store.py.
 */
export class FolderWriter {
  readonly #root: string
  readonly #unfinished: string
  readonly #experiments = new Map<string, string>()

  private constructor(root: string) {
    this.#root = root
    this.#unfinished = `${root}.unfinished`
  }

  /** Refuses a folder with anything in it that no export from this server wrote. */
  static async open(root: string, server: string): Promise<FolderWriter> {
    const entries = await readdir(root).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return []
      throw new AppError('BadRequest', `${root} cannot be read: ${error.message}.`, 'Name a new folder.', {
        cause: error,
      })
    })
    const mark = join(root, markName)
    if (entries.length > 0) {
      const known = existsSync(mark) ? (JSON.parse(await readFile(mark, 'utf8')) as { server: string }) : undefined
      if (known?.server !== server) throw notOurs(root, known?.server)
    }
    await mkdir(join(root, '.trash'), { recursive: true })
    await mkdir(join(root, 'models'), { recursive: true })
    await writeFile(mark, JSON.stringify({ server }))
    const writer = new FolderWriter(root)
    await rm(writer.#unfinished, { recursive: true, force: true })
    return writer
  }

  async close(): Promise<void> {
    await rm(this.#unfinished, { recursive: true, force: true })
  }

  async experiment(record: ExperimentRecord): Promise<void> {
    const folder = join(this.#root, record.lifecycle === 'deleted' ? '.trash' : '', record.id)
    this.#experiments.set(record.id, folder)
    await mkdir(folder, { recursive: true })
    await writeMeta(folder, {
      artifact_location: this.#uri(folder),
      creation_time: record.createdAt,
      experiment_id: record.id,
      last_update_time: record.updatedAt,
      lifecycle_stage: record.lifecycle,
      name: record.name,
    })
    await writePairs(join(folder, 'tags'), record.tags)
  }

  hasRun = (record: RunRecord): boolean => existsSync(this.#runFolder(record))

  async run(
    record: RunRecord,
    points: AsyncIterable<PointsRecord>,
    files: SourceFile[] | undefined,
    now: number,
  ): Promise<void> {
    await this.#whole(this.#runFolder(record), async (folder) => {
      const experiment = this.#experiments.get(record.experiment)!
      await writeMeta(folder, {
        artifact_uri: files ? this.#uri(join(this.#runFolder(record), 'artifacts')) : record.artifactUri,
        deleted_time: record.lifecycle === 'deleted' ? (record.deletedAt ?? now) : null,
        end_time: record.endedAt ?? null,
        entry_point_name: '',
        experiment_id: record.experiment,
        lifecycle_stage: record.lifecycle,
        run_id: record.id,
        run_name: record.name,
        source_name: '',
        source_type: sourceTypeLocal,
        source_version: '',
        start_time: record.startedAt,
        status: runStatus[record.status],
        tags: [],
        user_id: record.user,
      })
      for (const name of ['metrics', 'params', 'artifacts', 'tags'])
        await mkdir(join(folder, name), { recursive: true })
      await writePairs(join(folder, 'params'), record.params)
      await writePairs(join(folder, 'tags'), record.tags)
      for await (const part of points) await appendPoints(join(folder, 'metrics'), part)
      await this.#inputs(folder, experiment, record)
      await writeFiles(join(folder, 'artifacts'), files ?? [])
    })
  }

  hasLoggedModel = (record: LoggedModelRecord): boolean => existsSync(this.#modelFolder(record))

  async loggedModel(record: LoggedModelRecord, files: SourceFile[] | undefined): Promise<void> {
    await this.#whole(this.#modelFolder(record), async (folder) => {
      await writeMeta(folder, {
        artifact_location: files ? this.#uri(join(this.#modelFolder(record), 'artifacts')) : record.artifactUri,
        creation_timestamp: record.createdAt,
        experiment_id: record.experiment,
        last_updated_timestamp: record.updatedAt,
        lifecycle_stage: record.lifecycle,
        model_id: record.id,
        model_type: record.modelType ?? null,
        name: record.name,
        source_run_id: record.run ?? null,
        status: modelStatus[record.status],
        status_message: record.statusMessage ?? null,
      })
      for (const name of ['metrics', 'params', 'tags']) await mkdir(join(folder, name), { recursive: true })
      await writePairs(join(folder, 'params'), record.params)
      await writePairs(join(folder, 'tags'), record.tags)
      for (const metric of record.metrics) {
        const dataset = metric.datasetName ? ` ${metric.datasetName} ${metric.datasetDigest ?? ''}` : ''
        const line = `${metric.timestamp} ${pythonNumber(metric.value)} ${metric.step} ${metric.run}${dataset}\n`
        await append(join(folder, 'metrics'), metric.key, line)
      }
      await writeFiles(join(folder, 'artifacts'), files ?? [])
    })
  }

  /** Written again each time: it is small, and its versions and aliases may have become more. */
  async registeredModel(
    model: RegisteredModelRecord,
    versions: readonly ModelVersionRecord[],
    moved: (location: string) => string,
  ): Promise<void> {
    const folder = inside(join(this.#root, 'models'), model.name)
    await this.#replaced(folder, async (place) => {
      const aliases = versions.flatMap(({ version, aliases: own }) =>
        own.map((key) => ({ key, value: String(version) })),
      )
      await writeMeta(place, {
        aliases: Object.fromEntries(aliases.map(({ key, value }) => [key, value])),
        creation_timestamp: model.createdAt,
        description: model.description ?? null,
        last_updated_timestamp: model.updatedAt,
        name: model.name,
      })
      await writePairs(join(place, 'tags'), model.tags)
      await writePairs(join(place, 'aliases'), aliases)
      for (const version of versions) {
        const own = join(place, `version-${version.version}`)
        await mkdir(own, { recursive: true })
        await writeMeta(own, {
          creation_timestamp: version.createdAt,
          current_stage: version.stage,
          description: version.description ?? null,
          last_updated_timestamp: version.updatedAt,
          model_id: version.loggedModel ?? null,
          name: model.name,
          run_id: version.run ?? null,
          run_link: version.runLink ?? null,
          source: moved(version.source),
          status: version.status,
          status_message: version.statusMessage ?? null,
          storage_location: moved(version.storageLocation ?? version.source),
          user_id: version.user ?? null,
          version: version.version,
        })
        await writePairs(join(own, 'tags'), version.tags)
      }
    })
  }

  /** Where a run's or logged model's artifacts are in the folder. */
  artifactsOf(record: RunRecord | LoggedModelRecord): string {
    const folder = record.kind === 'run' ? this.#runFolder(record) : this.#modelFolder(record)
    return this.#uri(join(folder, 'artifacts'))
  }

  async #inputs(folder: string, experiment: string, record: RunRecord): Promise<void> {
    for (const { tags, ...dataset } of record.datasets) {
      const id = md5(dataset.name + dataset.digest)
      const shared = join(experiment, 'datasets', id)
      await mkdir(shared, { recursive: true })
      await writeMeta(shared, {
        digest: dataset.digest,
        name: dataset.name,
        profile: dataset.profile ?? null,
        schema: dataset.schema ?? null,
        source: dataset.source,
        source_type: dataset.sourceType,
      })
      await writeLink(join(folder, 'inputs', md5(id + record.id)), {
        source_type: 'DATASET',
        destination_type: 'RUN',
        id,
        tags: Object.fromEntries(tags.map(({ key, value }) => [key, value])),
      })
    }
    for (const id of record.modelInputs)
      await writeLink(join(folder, 'inputs', md5(id + record.id)), {
        source_type: 'MODEL',
        destination_type: 'RUN',
        id,
      })
    for (const { model: id, step } of record.modelOutputs)
      await writeLink(inside(join(folder, 'outputs'), id), {
        source_type: 'RUN_OUTPUT',
        destination_type: 'MODEL_OUTPUT',
        id,
        step,
      })
  }

  async #whole(folder: string, write: (place: string) => Promise<void>): Promise<void> {
    const place = join(this.#unfinished, md5(folder))
    await rm(place, { recursive: true, force: true })
    await mkdir(place, { recursive: true })
    await write(place)
    await mkdir(dirname(folder), { recursive: true })
    await rename(place, folder)
  }

  async #replaced(folder: string, write: (place: string) => Promise<void>): Promise<void> {
    const old = join(this.#unfinished, 'replaced')
    if (existsSync(folder)) {
      await mkdir(this.#unfinished, { recursive: true })
      await rename(folder, old)
    }
    await this.#whole(folder, write)
    await rm(old, { recursive: true, force: true })
  }

  #runFolder = (record: RunRecord): string => join(this.#experiments.get(record.experiment)!, record.id)
  #modelFolder = (record: LoggedModelRecord): string =>
    join(this.#experiments.get(record.experiment)!, 'models', record.id)
  #uri = (folder: string): string => pathToFileURL(folder).href
}

const writeMeta = (folder: string, meta: object): Promise<void> =>
  // Old YAML, as Python reads it: `no` and `1:20` stay texts; every text in quotes is read as a text by all.
  writeFile(
    join(folder, 'meta.yaml'),
    stringify(meta, { defaultStringType: 'QUOTE_SINGLE', defaultKeyType: 'PLAIN', lineWidth: 0 }),
  )

async function writeLink(
  folder: string,
  link: { source_type: string; destination_type: string; id: string; tags?: object; step?: number },
): Promise<void> {
  const { id, tags = {}, ...rest } = link
  await mkdir(folder, { recursive: true })
  // The client reads an input's source and an output's destination: both name the thing.
  await writeMeta(folder, { ...rest, source_id: id, destination_id: id, tags })
}

async function writePairs(folder: string, pairs: readonly { key: string; value: string }[]): Promise<void> {
  if (pairs.length === 0) return
  for (const { key, value } of pairs) {
    const file = inside(folder, key)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, value)
  }
}

async function appendPoints(folder: string, { key, timestamps, steps, values }: PointsRecord): Promise<void> {
  const lines = values.map((value, index) => `${timestamps[index]} ${pythonNumber(value)} ${steps[index]}\n`)
  await append(folder, key, lines.join(''))
}

async function append(folder: string, key: string, text: string): Promise<void> {
  const file = inside(folder, key)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, text, { flag: 'a' })
}

async function writeFiles(folder: string, files: readonly SourceFile[]): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const { path, open } of files) {
    const file = inside(folder, path)
    await mkdir(dirname(file), { recursive: true })
    await pipeline(await open(), createWriteStream(file))
  }
}

/** Names come from whoever logged them: none may lead out of its folder. */
function inside(folder: string, name: string): string {
  const file = join(folder, name)
  if (file.startsWith(`${folder}/`)) return file
  throw new AppError(
    'BadRequest',
    `"${name}" as a file would lie outside its folder.`,
    'Rename or delete it on the server.',
  )
}

const pythonNumber = (value: MetricValue): string =>
  value === 'NaN' ? 'nan' : value === 'Infinity' ? 'inf' : value === '-Infinity' ? '-inf' : String(value)

const md5 = (text: string): string => createHash('md5').update(text).digest('hex')

function notOurs(root: string, server: string | undefined): AppError {
  return new AppError(
    'Conflict',
    server === undefined
      ? `${root} is not empty, and no export of Modelwright wrote it.`
      : `${root} holds an export of ${server}.`,
    'Name a new folder. Nothing was changed.',
  )
}
