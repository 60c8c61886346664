import { dirname, join, resolve } from 'node:path'
import type {
  ExperimentRecord,
  LoggedModelRecord,
  MetricValue,
  ModelVersionRecord,
  RegisteredModelRecord,
  RunRecord,
} from '../../imports/imports-contract.ts'
import type { LatestMetric } from '../../imports/item-facts-contract.ts'
import { AppError } from '../../kernel/errors.ts'
import { filesBelow, isFolder, localPath } from './local-files.ts'
import { openPostgres, openSqlite, type Rows } from './query.ts'
import { metricValue, PointsBuilder, type Problem, pointsAtOnce, type Source, type SourceRun } from './source.ts'

/** The schema's newest change (alembic) in the versions of MLflow that this was tried with. */
const triedSchemas: Record<string, string> = { dc11669786a5: '3.17' }

const runsAtOnce = 200
const modelStatuses = { 1: 'PENDING', 2: 'READY', 3: 'FAILED' } as const
const runStatuses = ['RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED'] as const
const stages = ['None', 'Staging', 'Production', 'Archived'] as const

type Row = Record<string, unknown>
type Pairs = { key: string; value: string }[]

export type DatabaseOptions = {
  cwd: string
  /** Where `mlflow-artifacts:` of the server on this database lies. */
  artifactsRoot?: string
  tell: (problem: Problem) => void
}

/** MLflow's own database, read only. Source of the schema: mlflow 3.17.2, store/tracking/dbmodels/models.py. */
export async function openDatabaseSource(uri: string, options: DatabaseOptions): Promise<Source> {
  const { rows, name, folder } = await connect(uri, options.cwd)
  const version = await schemaVersion(rows, name)
  const reader = new DatabaseReader(rows, {
    artifactsRoot: await rootOf(options, folder),
    folder: folder ?? options.cwd,
    tell: options.tell,
  })
  await reader.prepare()
  return {
    uri: name,
    title: `the database ${name}, ${version}`,
    experiments: () => reader.experiments(),
    runs: (id) => reader.runs(id),
    whole: async (run) => run,
    points: (runs) => reader.points(runs),
    loggedModels: (id) => reader.loggedModels(id),
    registeredModels: () => reader.registeredModels(),
    versions: (model) => reader.versions(model),
    files: (owner) => reader.files(owner),
    reference: (artifactUri) => artifactUri,
    close: () => rows.close(),
  }
}

async function connect(uri: string, cwd: string): Promise<{ rows: Rows; name: string; folder?: string }> {
  const postgres = /^postgres(?:ql)?(?:\+\w+)?:(\/\/.*)$/.exec(uri)
  if (postgres) {
    const url = new URL(`postgresql:${postgres[1]}`)
    const name = `postgresql://${url.host}${url.pathname}`
    return { rows: await openPostgres(url.href, name), name }
  }
  // sqlite:///relative.db, sqlite:////absolute.db
  const path = resolve(cwd, uri.replace(/^sqlite:\/\/\//, '').replace(/^sqlite:/, ''))
  return { rows: openSqlite(path), name: `sqlite:///${path}`, folder: dirname(path) }
}

async function rootOf({ artifactsRoot, cwd }: DatabaseOptions, folder: string | undefined) {
  if (artifactsRoot !== undefined) return resolve(cwd, artifactsRoot)
  const usual = folder === undefined ? undefined : join(folder, 'mlartifacts')
  return usual && (await isFolder(usual)) ? usual : undefined
}

async function schemaVersion(rows: Rows, name: string): Promise<string> {
  const tables = await rows.columns('alembic_version')
  if (tables.size === 0 || (await rows.columns('experiments')).size === 0)
    throw new AppError(
      'BadRequest',
      `${name} is no database of an MLflow server: it has no tables alembic_version and experiments.`,
      'Name the database that `mlflow server --backend-store-uri` names.',
    )
  const [row] = await rows.all('select version_num from alembic_version', [])
  const schema = text(row?.version_num)
  const known = triedSchemas[schema]
  const tried = [...new Set(Object.values(triedSchemas))].join(', ')
  return known ? `MLflow ${known}` : `schema ${schema} (tried with MLflow ${tried}; what it lacks is left out)`
}

class DatabaseReader {
  readonly #rows: Rows
  readonly #options: { artifactsRoot: string | undefined; folder: string; tell: (problem: Problem) => void }
  readonly #points: PointsBuilder
  /** Columns of the tables that not every version has. */
  readonly #columns = new Map<string, ReadonlySet<string>>()

  constructor(rows: Rows, options: { artifactsRoot: string | undefined; folder: string; tell: (p: Problem) => void }) {
    this.#rows = rows
    this.#options = options
    this.#points = new PointsBuilder(options.tell)
  }

  async prepare(): Promise<void> {
    for (const table of [
      'experiments',
      'experiment_tags',
      'runs',
      'metrics',
      'latest_metrics',
      'inputs',
      'logged_models',
      'registered_models',
      'registered_model_tags',
      'registered_model_aliases',
      'model_versions',
      'model_version_tags',
    ])
      this.#columns.set(table, await this.#rows.columns(table))
  }

  async *experiments(): AsyncGenerator<ExperimentRecord> {
    const tags = this.#has('experiment_tags')
      ? groupPairs(
          await this.#rows.all('select cast(experiment_id as text) as owner, key, value from experiment_tags', []),
        )
      : new Map<string, Pairs>()
    const rows = await this.#rows.all(
      `select cast(experiment_id as text) as id, name, artifact_location, lifecycle_stage,
        ${this.#or('experiments', 'creation_time')}, ${this.#or('experiments', 'last_update_time')}
        from experiments order by experiment_id`,
      [],
    )
    for (const row of rows)
      yield {
        kind: 'experiment',
        id: text(row.id),
        name: text(row.name),
        lifecycle: row.lifecycle_stage === 'deleted' ? 'deleted' : 'active',
        createdAt: whole(row.creation_time),
        updatedAt: whole(row.last_update_time),
        artifactUri: text(row.artifact_location),
        tags: tags.get(text(row.id)) ?? [],
      }
  }

  async *runs(experimentId: string): AsyncGenerator<SourceRun[]> {
    for (let after = ''; ; ) {
      const rows = await this.#rows.all(
        `select run_uuid, ${this.#or('runs', 'name')}, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri,
          ${this.#or('runs', 'deleted_time')} from runs
          where experiment_id = cast(? as bigint) and run_uuid > ? order by run_uuid limit ${runsAtOnce}`,
        [experimentId, after],
      )
      if (rows.length === 0) return
      after = text(rows.at(-1)!.run_uuid)
      yield await this.#complete(experimentId, rows)
    }
  }

  async #complete(experiment: string, rows: readonly Row[]): Promise<SourceRun[]> {
    const ids = rows.map((row) => text(row.run_uuid))
    const params = groupPairs(await this.#in('select run_uuid as owner, key, value from params where run_uuid', ids))
    const tags = groupPairs(await this.#in('select run_uuid as owner, key, value from tags where run_uuid', ids))
    const latest = await this.#latest(ids)
    const datasets = await this.#datasets(ids)
    const models = await this.#models(ids)
    return rows.map((row) => {
      const id = text(row.run_uuid)
      const own = tags.get(id) ?? []
      return {
        record: {
          kind: 'run',
          id,
          experiment,
          name: text(row.name) || (own.find(({ key }) => key === 'mlflow.runName')?.value ?? ''),
          status: runStatuses.find((status) => status === row.status) ?? 'RUNNING',
          user: text(row.user_id),
          startedAt: whole(row.start_time),
          ...(row.end_time == null ? {} : { endedAt: whole(row.end_time) }),
          lifecycle: row.lifecycle_stage === 'deleted' ? 'deleted' : 'active',
          ...(row.deleted_time == null ? {} : { deletedAt: whole(row.deleted_time) }),
          artifactUri: text(row.artifact_uri),
          artifacts: 'there',
          params: params.get(id) ?? [],
          tags: own,
          datasets: datasets.get(id) ?? [],
          modelInputs: (models.get(id) ?? []).filter((one) => one.input).map((one) => one.model),
          modelOutputs: (models.get(id) ?? []).filter((one) => !one.input).map(({ model, step }) => ({ model, step })),
        },
        latest: latest.get(id) ?? [],
      }
    })
  }

  /**
   * Run by run as the rows come, without an order: asked for one, SQLite would walk the primary key, which begins with the metric's
   * name, through the points of all runs.
   */
  async *points(runs: readonly SourceRun[]) {
    const statement = `select key, step, timestamp, value, ${this.#or('metrics', 'is_nan')} from metrics where run_uuid = ?`
    for (const { record } of runs) {
      const waiting = new Map<string, { timestamp: number; step: number; value: MetricValue }[]>()
      for await (const rows of this.#rows.pages(statement, [record.id]))
        for (const row of rows) {
          const key = text(row.key)
          push(waiting, key, { timestamp: Number(row.timestamp), step: Number(row.step), value: pointValue(row) })
          const points = waiting.get(key)!
          if (points.length < pointsAtOnce) continue
          waiting.delete(key)
          yield* this.#points.records(record.id, key, points)
        }
      for (const [key, points] of waiting) yield* this.#points.records(record.id, key, points)
    }
  }

  async *loggedModels(experimentId: string): AsyncGenerator<LoggedModelRecord> {
    if (!this.#has('logged_models')) return
    for (let after = ''; ; ) {
      const rows = await this.#rows.all(
        `select model_id, name, artifact_location, creation_timestamp_ms, last_updated_timestamp_ms, status, lifecycle_stage,
          model_type, source_run_id, status_message from logged_models
          where experiment_id = cast(? as bigint) and model_id > ? order by model_id limit ${runsAtOnce}`,
        [experimentId, after],
      )
      if (rows.length === 0) return
      after = text(rows.at(-1)!.model_id)
      const ids = rows.map((row) => text(row.model_id))
      const pairs = (kind: string) =>
        this.#in(
          `select model_id as owner, ${kind}_key as key, ${kind}_value as value from logged_model_${kind}s where model_id`,
          ids,
        )
      const params = groupPairs(await pairs('param'))
      const tags = groupPairs(await pairs('tag'))
      const metrics = Map.groupBy(
        await this.#in(
          `select model_id, metric_name, metric_timestamp_ms, metric_step, metric_value, run_id, dataset_name, dataset_digest
            from logged_model_metrics where model_id`,
          ids,
        ),
        (row) => text(row.model_id),
      )
      for (const row of rows) {
        const id = text(row.model_id)
        yield {
          kind: 'logged-model',
          id,
          experiment: experimentId,
          name: text(row.name),
          status: modelStatuses[whole(row.status) as keyof typeof modelStatuses] ?? 'PENDING',
          ...optional('statusMessage', row.status_message),
          ...optional('modelType', row.model_type),
          ...optional('run', row.source_run_id),
          createdAt: whole(row.creation_timestamp_ms),
          updatedAt: whole(row.last_updated_timestamp_ms),
          lifecycle: row.lifecycle_stage === 'deleted' ? 'deleted' : 'active',
          artifactUri: text(row.artifact_location),
          artifacts: 'there',
          params: params.get(id) ?? [],
          tags: tags.get(id) ?? [],
          metrics: (metrics.get(id) ?? []).map((metric) => ({
            run: text(metric.run_id),
            key: text(metric.metric_name),
            value: metric.metric_value == null ? 'NaN' : metricValue(Number(metric.metric_value)),
            timestamp: whole(metric.metric_timestamp_ms),
            step: whole(metric.metric_step),
            ...optional('datasetName', metric.dataset_name),
            ...optional('datasetDigest', metric.dataset_digest),
          })),
        }
      }
    }
  }

  async *registeredModels(): AsyncGenerator<RegisteredModelRecord> {
    if (!this.#has('registered_models')) return
    const tags = this.#has('registered_model_tags')
      ? groupPairs(await this.#rows.all('select name as owner, key, value from registered_model_tags', []))
      : new Map<string, Pairs>()
    const newest = await this.#rows.all('select name, max(version) as newest from model_versions group by name', [])
    const newestOf = new Map(newest.map((row) => [text(row.name), whole(row.newest)]))
    const rows = await this.#rows.all(
      'select name, creation_time, last_updated_time, description from registered_models order by name',
      [],
    )
    for (const row of rows)
      yield {
        kind: 'registered-model',
        name: text(row.name),
        ...optional('description', row.description),
        createdAt: whole(row.creation_time),
        updatedAt: whole(row.last_updated_time),
        tags: tags.get(text(row.name)) ?? [],
        nextVersion: (newestOf.get(text(row.name)) ?? 0) + 1,
      }
  }

  async *versions(model: string): AsyncGenerator<ModelVersionRecord> {
    const tags = this.#has('model_version_tags')
      ? groupPairs(
          await this.#rows.all('select version as owner, key, value from model_version_tags where name = ?', [model]),
        )
      : new Map<string, Pairs>()
    const aliases = this.#has('registered_model_aliases')
      ? await this.#rows.all('select alias, version from registered_model_aliases where name = ? order by alias', [
          model,
        ])
      : []
    const rows = await this.#rows.all(
      `select version, creation_time, last_updated_time, description, user_id, current_stage, source, run_id, status,
        status_message, ${this.#or('model_versions', 'run_link')}, ${this.#or('model_versions', 'storage_location')}
        from model_versions where name = ? order by version`,
      [model],
    )
    for (const row of rows) {
      // A deleted version's row only keeps its number taken.
      if (row.current_stage === 'Deleted_Internal') continue
      const version = whole(row.version)
      const source = text(row.source)
      yield {
        kind: 'model-version',
        model,
        version,
        createdAt: whole(row.creation_time),
        updatedAt: whole(row.last_updated_time),
        ...optional('description', row.description),
        ...optional('user', row.user_id),
        stage: stages.find((stage) => stage === row.current_stage) ?? 'None',
        source,
        ...optional('storageLocation', row.storage_location),
        ...optional('run', row.run_id),
        ...optional('runLink', row.run_link),
        status: text(row.status) || 'READY',
        ...optional('statusMessage', row.status_message),
        // The database does not keep the id that the client gave with it.
        ...optional('loggedModel', /^models:\/(m-\w+)$/.exec(source)?.[1]),
        tags: tags.get(String(version)) ?? [],
        aliases: aliases.filter((alias) => whole(alias.version) === version).map((alias) => text(alias.alias)),
      }
    }
  }

  /** A folder is made with its first file: where only it is missing there is none, where its root is, they lie elsewhere. */
  async files(owner: RunRecord | LoggedModelRecord) {
    const folder = this.#folderOf(owner.artifactUri)
    if (folder === undefined) return undefined
    if (await isFolder(folder)) return filesBelow(folder, this.#options.tell)
    // ROOT/experiment/run/artifacts, ROOT/experiment/models/model/artifacts
    const root = resolve(folder, owner.kind === 'run' ? '../../..' : '../../../..')
    return (await isFolder(root)) ? [] : undefined
  }

  #folderOf(uri: string): string | undefined {
    const proxied = /^mlflow-artifacts:\/+(.*)$/.exec(uri)?.[1]
    const { artifactsRoot, folder } = this.#options
    if (proxied !== undefined) return artifactsRoot === undefined ? undefined : join(artifactsRoot, proxied)
    const local = localPath(uri)
    return local === undefined ? undefined : resolve(folder, local)
  }

  async #latest(ids: readonly string[]): Promise<Map<string, LatestMetric[]>> {
    const rows = await this.#in(
      `select run_uuid, key, timestamp, step, value, ${this.#or('latest_metrics', 'is_nan')} from latest_metrics where run_uuid`,
      ids,
    )
    const latest = new Map<string, LatestMetric[]>()
    for (const row of rows)
      push(latest, text(row.run_uuid), {
        key: text(row.key),
        timestamp: whole(row.timestamp),
        step: whole(row.step),
        value: pointValue(row),
      })
    return latest
  }

  async #datasets(ids: readonly string[]): Promise<Map<string, RunRecord['datasets']>> {
    const datasets = new Map<string, RunRecord['datasets']>()
    if (!this.#has('inputs')) return datasets
    const rows = await this.#in(
      `select i.destination_id, i.input_uuid, d.name, d.digest, d.dataset_source_type, d.dataset_source, d.dataset_schema,
        d.dataset_profile from inputs i join datasets d on d.dataset_uuid = i.source_id
        where i.source_type = 'DATASET' and i.destination_type = 'RUN' and i.destination_id`,
      ids,
    )
    if (rows.length === 0) return datasets
    const tags = groupPairs(
      await this.#in(
        'select input_uuid as owner, name as key, value from input_tags where input_uuid',
        rows.map((row) => text(row.input_uuid)),
      ),
    )
    for (const row of rows)
      push(datasets, text(row.destination_id), {
        name: text(row.name),
        digest: text(row.digest),
        sourceType: text(row.dataset_source_type),
        source: text(row.dataset_source),
        ...optional('schema', row.dataset_schema),
        ...optional('profile', row.dataset_profile),
        tags: tags.get(text(row.input_uuid)) ?? [],
      })
    return datasets
  }

  async #models(ids: readonly string[]): Promise<Map<string, { model: string; input: boolean; step: number }[]>> {
    const models = new Map<string, { model: string; input: boolean; step: number }[]>()
    if (!this.#has('logged_models')) return models
    const rows = await this.#in(
      `select source_id, source_type, destination_id, ${this.#or('inputs', 'step')} from inputs
        where source_type in ('RUN_INPUT', 'RUN_OUTPUT') and source_id`,
      ids,
    )
    for (const row of rows)
      push(models, text(row.source_id), {
        model: text(row.destination_id),
        input: row.source_type === 'RUN_INPUT',
        step: whole(row.step),
      })
    return models
  }

  async #in(head: string, ids: readonly string[]): Promise<Row[]> {
    const rows: Row[] = []
    for (let from = 0; from < ids.length; from += 1000) {
      const part = ids.slice(from, from + 1000)
      rows.push(...(await this.#rows.all(`${head} in (${part.map(() => '?').join(', ')})`, part)))
    }
    return rows
  }

  #has(table: string): boolean {
    return (this.#columns.get(table)?.size ?? 0) > 0
  }

  /** The column, or null under its name in a version that does not have it. */
  #or(table: string, column: string): string {
    return this.#columns.get(table)?.has(column) ? column : `null as ${column}`
  }
}

const pointValue = (row: Row) => (truth(row.is_nan) ? ('NaN' as const) : metricValue(Number(row.value)))

const truth = (value: unknown): boolean => value === true || Number(value) === 1

function groupPairs(rows: readonly Row[]): Map<string, Pairs> {
  const pairs = new Map<string, Pairs>()
  for (const row of rows) push(pairs, text(row.owner), { key: text(row.key), value: text(row.value) })
  return pairs
}

function push<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key)
  if (list) list.push(value)
  else lists.set(key, [value])
}

const text = (value: unknown): string => (value == null ? '' : String(value))

const whole = (value: unknown): number => (Number.isSafeInteger(value) ? (value as number) : 0)

const optional = <K extends string>(key: K, value: unknown): { [P in K]?: string } =>
  (text(value) === '' ? {} : { [key]: text(value) }) as { [P in K]?: string }
