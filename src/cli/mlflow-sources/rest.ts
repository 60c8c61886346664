import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import type {
  ExperimentRecord,
  LoggedModelRecord,
  ModelVersionRecord,
  RegisteredModelRecord,
  RunRecord,
} from '../../imports/imports-contract.ts'
import { AppError, messageOf } from '../../kernel/errors.ts'
import { eachOf } from './each-of.ts'
import {
  metricValue,
  PointsBuilder,
  type Problem,
  readNumber,
  type Source,
  type SourceFile,
  type SourceRun,
} from './source.ts'

type Json = Record<string, unknown>
type Pairs = { key: string; value: string }[]

const page = 1000
const runsAtOnce = 200
/** What a stock server takes at most in one page of a history. */
const pointsAtOnce = 25_000
const requestsAtOnce = 8
const tries = 4

export type RestOptions = {
  env: Readonly<Record<string, string | undefined>>
  /** In place of what the environment says: for a server of our own. */
  token?: string
  tell: (problem: Problem) => void
}

/** A server of MLflow's REST API, asked as its own client asks. Source: mlflow 3.17.2, store/tracking/rest_store.py. */
export async function openRest(uri: string, options: RestOptions): Promise<Source> {
  const server = new RestServer(uri, options)
  const version = await server.version()
  const reader = new RestReader(server, options.tell)
  return {
    uri: server.baseUrl,
    title: `the server ${server.baseUrl}${version === '' ? '' : `, MLflow ${version}`}`,
    experiments: () => reader.experiments(),
    runs: (id) => reader.runs(id),
    whole: (run) => reader.whole(run),
    points: (runs) => reader.points(runs),
    loggedModels: (id) => reader.loggedModels(id),
    registeredModels: () => reader.registeredModels(),
    versions: (model) => reader.versions(model),
    files: (owner) => reader.files(owner),
    // Without a host it would mean the server that a client talks to, which will be ours.
    reference: (artifactUri) =>
      artifactUri.replace(/^mlflow-artifacts:\/(?!\/)/, `mlflow-artifacts://${new URL(server.baseUrl).host}/`),
    close: async () => {},
  }
}

class RestServer {
  readonly baseUrl: string
  readonly #headers: Record<string, string>

  constructor(uri: string, { env, token }: RestOptions) {
    const url = new URL(uri)
    const user = decodeURIComponent(url.username) || env.MLFLOW_TRACKING_USERNAME
    const password = decodeURIComponent(url.password) || env.MLFLOW_TRACKING_PASSWORD
    url.username = ''
    url.password = ''
    url.hash = ''
    url.search = ''
    this.baseUrl = url.href.replace(/\/+$/, '')
    const bearer = token ?? env.MLFLOW_TRACKING_TOKEN
    this.#headers =
      token === undefined && user && password
        ? { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` }
        : bearer
          ? { authorization: `Bearer ${bearer}` }
          : {}
  }

  async version(): Promise<string> {
    const response = await this.#fetch('/version')
    const text = response.ok ? (await response.text()).trim() : ''
    return /^\d+(\.\w+)+$/.test(text) ? text : ''
  }

  async get(path: string, query: Record<string, string | number | undefined>): Promise<Json> {
    const given = new URLSearchParams()
    for (const [key, value] of Object.entries(query)) if (value !== undefined) given.set(key, String(value))
    return this.#answer(await this.#fetch(`${path}?${given}`), path)
  }

  async post(path: string, body: Json): Promise<Json> {
    const response = await this.#fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    return this.#answer(response, path)
  }

  async stream(path: string): Promise<Readable> {
    const response = await this.#fetch(path)
    if (!response.ok || !response.body) await this.#answer(response, path)
    return Readable.fromWeb(response.body as ReadableStream)
  }

  async #answer(response: Response, path: string): Promise<Json> {
    const text = await response.text()
    if (response.ok) return parseJson(text)
    throw new AppError(
      response.status === 404 ? 'NotFound' : response.status === 401 ? 'Unauthenticated' : 'BadRequest',
      `${this.baseUrl}${path} answered ${response.status}: ${text.slice(0, 300)}`,
      response.status === 401 || response.status === 403
        ? 'Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.'
        : 'Is the address that of an MLflow server?',
    )
  }

  /** A server under load loses a connection or answers 429 or 5xx now and then: tried again, a little later each time. */
  async #fetch(path: string, init: RequestInit = {}): Promise<Response> {
    for (let round = 1; ; round++) {
      const last = round === tries
      try {
        const response = await fetch(this.baseUrl + path, {
          ...init,
          headers: { ...(init.headers as Record<string, string>), ...this.#headers },
        })
        if (last || !(response.status === 429 || response.status >= 502)) return response
        await response.body?.cancel()
      } catch (cause) {
        if (last)
          throw new AppError(
            'ServerUnreachable',
            `${this.baseUrl} does not answer: ${messageOf((cause as Error).cause ?? cause)}.`,
            'Is the server up? What was brought in stays; the same command goes on from there.',
            { cause },
          )
      }
      await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** round))
    }
  }
}

/** Some versions write NaN and Infinity bare, which is no JSON. */
function parseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch {
    return JSON.parse(text.replace(/("value":\s*)(-?Infinity|NaN)\b/g, '$1"$2"')) as Json
  }
}

class RestReader {
  readonly #server: RestServer
  readonly #tell: (problem: Problem) => void
  readonly #points: PointsBuilder

  constructor(server: RestServer, tell: (problem: Problem) => void) {
    this.#server = server
    this.#tell = tell
    this.#points = new PointsBuilder(tell)
  }

  async *experiments(): AsyncGenerator<ExperimentRecord> {
    const pages = paged((token) =>
      this.#server.post('/api/2.0/mlflow/experiments/search', {
        max_results: page,
        view_type: 'ALL',
        ...(token === undefined ? {} : { page_token: token }),
      }),
    )
    for await (const answer of pages)
      for (const one of listOf(answer.experiments))
        yield {
          kind: 'experiment',
          id: text(one.experiment_id),
          name: text(one.name),
          lifecycle: one.lifecycle_stage === 'deleted' ? 'deleted' : 'active',
          createdAt: whole(one.creation_time),
          updatedAt: whole(one.last_update_time),
          artifactUri: text(one.artifact_location),
          tags: pairsOf(one.tags),
        }
  }

  async *runs(experimentId: string): AsyncGenerator<SourceRun[]> {
    const pages = paged((token) =>
      this.#server.post('/api/2.0/mlflow/runs/search', {
        experiment_ids: [experimentId],
        run_view_type: 'ALL',
        max_results: runsAtOnce,
        // Runs that are started meanwhile come last, and shift no page.
        order_by: ['attributes.start_time ASC'],
        ...(token === undefined ? {} : { page_token: token }),
      }),
    )
    for await (const answer of pages) {
      const runs = listOf(answer.runs)
      if (runs.length > 0) yield runs.map(runOf)
    }
  }

  /** A stock server's search leaves out the models that a run read (3.17.2, sqlalchemy_store.py, _search_runs). */
  async whole({ record }: SourceRun): Promise<SourceRun> {
    const { run } = await this.#server.get('/api/2.0/mlflow/runs/get', { run_id: record.id })
    return runOf(objectOf(run))
  }

  async *points(runs: readonly SourceRun[]) {
    const wanted = runs.flatMap(({ record, latest }) => latest.map(({ key }) => ({ run: record.id, key })))
    for await (const { run, key, points } of eachOf(wanted, requestsAtOnce, (one) => this.#history(one)))
      yield* this.#points.records(run, key, points)
  }

  async #history({ run, key }: { run: string; key: string }) {
    const points: { timestamp: number; step: number; value: ReturnType<typeof metricValue> }[] = []
    const pages = paged((token) =>
      this.#server.get('/api/2.0/mlflow/metrics/get-history', {
        run_id: run,
        metric_key: key,
        max_results: pointsAtOnce,
        page_token: token,
      }),
    )
    for await (const answer of pages) for (const metric of listOf(answer.metrics)) points.push(pointOf(metric))
    return { run, key, points }
  }

  async *loggedModels(experimentId: string): AsyncGenerator<LoggedModelRecord> {
    const pages = paged((token) =>
      this.#server.post('/api/2.0/mlflow/logged-models/search', {
        experiment_ids: [experimentId],
        max_results: 50,
        ...(token === undefined ? {} : { page_token: token }),
      }),
    )
    try {
      for await (const answer of pages) for (const model of listOf(answer.models)) yield loggedModelOf(model)
    } catch (error) {
      // Servers before 3.0 know no logged models.
      if (!(error instanceof AppError && error.code === 'NotFound')) throw error
    }
  }

  async *registeredModels(): AsyncGenerator<RegisteredModelRecord> {
    // Prompts are registered models, and a search without a filter leaves them out.
    const prompts = "tag.`mlflow.prompt.is_prompt` = 'true'"
    const seen = new Set<string>()
    for (const filter of [undefined, prompts])
      for await (const answer of paged((token) =>
        this.#server.get('/api/2.0/mlflow/registered-models/search', { filter, max_results: page, page_token: token }),
      ))
        for (const model of listOf(answer.registered_models)) {
          const name = text(model.name)
          if (seen.has(name)) continue
          seen.add(name)
          this.#aliases.set(name, listOf(model.aliases))
          yield {
            kind: 'registered-model',
            name,
            ...optional('description', model.description),
            createdAt: whole(model.creation_timestamp),
            updatedAt: whole(model.last_updated_timestamp),
            tags: pairsOf(model.tags),
            nextVersion: Math.max(0, ...listOf(model.latest_versions).map((one) => whole(one.version))) + 1,
          }
        }
  }

  readonly #aliases = new Map<string, Json[]>()

  async *versions(model: string): AsyncGenerator<ModelVersionRecord> {
    const filter = `name = '${model.replaceAll("'", "''")}'`
    const prompts = "tag.`mlflow.prompt.is_prompt` = 'true'"
    const found = new Map<number, Json>()
    for (const asked of [filter, `${filter} AND ${prompts}`])
      for await (const answer of paged((token) =>
        this.#server.get('/api/2.0/mlflow/model-versions/search', {
          filter: asked,
          max_results: page,
          page_token: token,
        }),
      ))
        for (const version of listOf(answer.model_versions))
          if (version.name === model) found.set(whole(version.version), version)
    const ordered = [...found].sort(([a], [b]) => a - b)
    yield* eachOf(ordered, requestsAtOnce, async ([number, version]) => ({
      ...this.#version(model, number, version),
      ...optional('storageLocation', await this.#locationOf(model, number)),
    }))
  }

  /** Not part of the version itself: asked for apart. Where it is not told, the source says it. */
  async #locationOf(name: string, version: number): Promise<string> {
    try {
      const answer = await this.#server.get('/api/2.0/mlflow/model-versions/get-download-uri', { name, version })
      return text(answer.artifact_uri)
    } catch (error) {
      if (error instanceof AppError && error.code === 'ServerUnreachable') throw error
      return ''
    }
  }

  #version(model: string, number: number, version: Json): ModelVersionRecord {
    return {
      kind: 'model-version',
      model,
      version: number,
      createdAt: whole(version.creation_timestamp),
      updatedAt: whole(version.last_updated_timestamp),
      ...optional('description', version.description),
      ...optional('user', version.user_id),
      stage: stages.find((stage) => stage === version.current_stage) ?? 'None',
      source: text(version.source),
      ...optional('run', version.run_id),
      ...optional('runLink', version.run_link),
      status: text(version.status) || 'READY',
      ...optional('statusMessage', version.status_message),
      ...optional('loggedModel', version.model_id || /^models:\/(m-\w+)$/.exec(text(version.source))?.[1]),
      tags: pairsOf(version.tags),
      aliases: (this.#aliases.get(model) ?? [])
        .filter((alias) => whole(alias.version) === number)
        .map((alias) => text(alias.alias)),
    }
  }

  /** By the server itself, whatever its store is; undefined where it cannot reach the store either. */
  async files(owner: RunRecord | LoggedModelRecord): Promise<SourceFile[] | undefined> {
    try {
      return await this.#filesBelow(owner, '')
    } catch (error) {
      this.#tell({ place: `artifacts of ${owner.id}`, reason: messageOf(error) })
      return undefined
    }
  }

  async #filesBelow(owner: RunRecord | LoggedModelRecord, folder: string): Promise<SourceFile[]> {
    const files: SourceFile[] = []
    const pages = paged((token) =>
      owner.kind === 'run'
        ? this.#server.get('/api/2.0/mlflow/artifacts/list', {
            run_id: owner.id,
            path: folder || undefined,
            page_token: token,
          })
        : this.#server.get(`/api/2.0/mlflow/logged-models/${owner.id}/artifacts/directories`, {
            artifact_directory_path: folder || undefined,
            page_token: token,
          }),
    )
    for await (const answer of pages)
      for (const entry of listOf(answer.files)) {
        const path = text(entry.path)
        if (entry.is_dir) files.push(...(await this.#filesBelow(owner, path)))
        else
          files.push({ path, size: whole(entry.file_size), open: () => this.#server.stream(downloadPath(owner, path)) })
      }
    return files
  }
}

const stages = ['None', 'Staging', 'Production', 'Archived'] as const
const runStatuses = ['RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED'] as const
const modelStatuses = {
  LOGGED_MODEL_PENDING: 'PENDING',
  LOGGED_MODEL_READY: 'READY',
  LOGGED_MODEL_UPLOAD_FAILED: 'FAILED',
} as const

/** What the server keeps itself comes by its proxy, which streams; of other stores it makes a copy for itself first. */
function downloadPath(owner: RunRecord | LoggedModelRecord, path: string): string {
  const proxied = /^mlflow-artifacts:\/(?:\/[^/]*)?\/?(.*)$/.exec(owner.artifactUri)?.[1]
  if (proxied !== undefined)
    return `/api/2.0/mlflow-artifacts/artifacts/${`${proxied}/${path}`.split('/').map(encodeURIComponent).join('/')}`
  return owner.kind === 'run'
    ? `/get-artifact?${new URLSearchParams({ run_id: owner.id, path })}`
    : `/ajax-api/2.0/mlflow/logged-models/${owner.id}/artifacts/files?${new URLSearchParams({ artifact_file_path: path })}`
}

function runOf({ info: given, data: givenData, inputs, outputs }: Json): SourceRun {
  const [info, data] = [objectOf(given), objectOf(givenData)]
  const tags = pairsOf(data.tags)
  return {
    record: {
      kind: 'run',
      id: text(info.run_id) || text(info.run_uuid),
      experiment: text(info.experiment_id),
      name: text(info.run_name) || (tags.find(({ key }) => key === 'mlflow.runName')?.value ?? ''),
      status: runStatuses.find((status) => status === info.status) ?? 'RUNNING',
      user: text(info.user_id),
      startedAt: whole(info.start_time),
      // Old servers say 0 where a run has not ended.
      ...(whole(info.end_time) === 0 ? {} : { endedAt: whole(info.end_time) }),
      lifecycle: info.lifecycle_stage === 'deleted' ? 'deleted' : 'active',
      artifactUri: text(info.artifact_uri),
      artifacts: 'there',
      params: pairsOf(data.params),
      tags,
      datasets: listOf(objectOf(inputs).dataset_inputs).map((input) => {
        const dataset = objectOf(input.dataset)
        return {
          name: text(dataset.name),
          digest: text(dataset.digest),
          sourceType: text(dataset.source_type),
          source: text(dataset.source),
          ...optional('schema', dataset.schema),
          ...optional('profile', dataset.profile),
          tags: pairsOf(input.tags),
        }
      }),
      modelInputs: listOf(objectOf(inputs).model_inputs).map((model) => text(model.model_id)),
      modelOutputs: listOf(objectOf(outputs).model_outputs).map((model) => ({
        model: text(model.model_id),
        step: whole(model.step),
      })),
    },
    latest: listOf(data.metrics).map((metric) => ({ key: text(metric.key), ...pointOf(metric) })),
  }
}

function loggedModelOf({ info: given, data: givenData }: Json): LoggedModelRecord {
  const [info, data] = [objectOf(given), objectOf(givenData)]
  return {
    kind: 'logged-model',
    id: text(info.model_id),
    experiment: text(info.experiment_id),
    name: text(info.name),
    status: modelStatuses[text(info.status) as keyof typeof modelStatuses] ?? 'PENDING',
    ...optional('statusMessage', info.status_message),
    ...optional('modelType', info.model_type),
    ...optional('run', info.source_run_id),
    createdAt: whole(info.creation_timestamp_ms),
    updatedAt: whole(info.last_updated_timestamp_ms),
    lifecycle: 'active',
    artifactUri: text(info.artifact_uri),
    artifacts: 'there',
    params: pairsOf(data.params),
    tags: pairsOf(info.tags),
    metrics: listOf(data.metrics).map((metric) => ({
      key: text(metric.key),
      ...pointOf(metric),
      run: text(metric.run_id),
      ...optional('datasetName', metric.dataset_name),
      ...optional('datasetDigest', metric.dataset_digest),
    })),
  }
}

const pointOf = (metric: Json) => ({
  timestamp: Number(metric.timestamp ?? 0),
  step: Number(metric.step ?? 0),
  // Protobuf leaves out what is zero.
  value: metricValue(readNumber(metric.value ?? 0) ?? Number.NaN),
})

async function* paged(ask: (token: string | undefined) => Promise<Json>): AsyncGenerator<Json> {
  for (let token: string | undefined; ; ) {
    const answer = await ask(token)
    yield answer
    token = text(answer.next_page_token) || undefined
    if (token === undefined) return
  }
}

const listOf = (value: unknown): Json[] => (Array.isArray(value) ? (value as Json[]) : [])

const objectOf = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {})

const text = (value: unknown): string => (value == null ? '' : String(value))

/** 64-bit integers come as texts or as numbers. */
const whole = (value: unknown): number => {
  const number = Number(value ?? 0)
  return Number.isSafeInteger(number) ? number : 0
}

const pairsOf = (value: unknown): Pairs =>
  listOf(value).map((pair) => ({ key: text(pair.key), value: text(pair.value) }))

const optional = <K extends string>(key: K, value: unknown): { [P in K]?: string } =>
  (text(value) === '' ? {} : { [key]: text(value) }) as { [P in K]?: string }
