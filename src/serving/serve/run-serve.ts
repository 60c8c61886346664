import { mkdirSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Digest, digestOf } from '../../kernel/digest.ts'
import { AppError } from '../../kernel/errors.ts'
import { cannotListen, httpUrl } from '../../kernel/listening.ts'
import type { Clock } from '../../ports/clock.ts'
import { Explainers } from '../explain/explainers.ts'
import { readMlmodel } from '../models/mlmodel-file.ts'
import { openBackend } from '../models/open-backend.ts'
import { ServedModel } from '../models/served-model.ts'
import type { ServingLog } from '../models/serving-log.ts'
import { tellOfBrokenRequests } from '../protocols/broken-requests.ts'
import { isLoopback } from '../protocols/door-checks.ts'
import { answerInTime } from '../protocols/http-exchange.ts'
import type { ModelRepository } from '../protocols/model-repository.ts'
import { LateGrpc, shareWithHttp2 } from '../protocols/one-port.ts'
import { workerScript } from '../python-folder.ts'
import { notFound, ScoringError } from '../scoring-error.ts'
import { readInputExample } from './input-example.ts'
import { answerModelHttp } from './model-door.ts'

export type ServeOptions = {
  /** A folder that mlflow saved a model to. */
  modelPath: string
  /** The folder of its ONNX form, where that computes it from the start. */
  graphPath?: string
  /** Else: makes the ONNX form while the model answers already, and computes by it from then on. */
  graphLater?: GraphLater
  name: string
  version: string
  host: string
  /** 0 takes any free one. */
  port: number
  /** gRPC has this port for itself as well; on `port` it always answers. */
  grpcPort?: number
  pythonPath: string
  /** What the model's code sees of the environment. */
  workerEnv: Record<string, string>
  /** For the workers' logs and working folders. */
  folder: string
  workers: number
  /** One Python process more than compute, which takes over when one of them dies. */
  spare?: boolean
  /** Whether the model's code may use the network. */
  network?: boolean
  /** Requests that are computed at once; what the model takes where it is left out. */
  concurrency?: number
  /** Requests that may wait besides (256). */
  queue?: number
  /** Most rows that one request may ask to explain (1,000). */
  explainRows?: number
  timeoutMs: number
  maxBodyBytes: number
  batchRows: number
  batchDelayMs: number
  threads?: number
  allowedHosts: readonly string[]
  token?: string
  /** What is told as the server's own version. */
  serverVersion: string
  log: ServingLog
  clock: Clock
  /** Aborted: no new requests, answers what was begun, ends. */
  signal: AbortSignal
}

export type GraphLater = {
  /** Its folder; undefined: there is none, which whoever makes it has told. Never rejects. */
  make: () => Promise<string | undefined>
  taken: () => void
}

export type RunningServe = { url: string; port: number; grpcPort?: number; finished: Promise<void> }

const queueLength = 256
const loadMs = 600_000
const drainMs = 25_000

/** Serves one model by every protocol, and returns once it is loaded and warmed. @throws AppError ModelUnusable, NotFound, PortTaken */
export async function runServe(options: ServeOptions): Promise<RunningServe> {
  const { clock, signal, host, modelPath } = options
  const mlmodel = readMlmodel(modelPath)
  mkdirSync(options.folder, { recursive: true, mode: 0o700 })
  const changed = new EventTarget()
  const model = new ServedModel({
    name: options.name,
    version: options.version,
    now: () => clock.now(),
    admission: {
      queue: options.queue ?? queueLength,
      ...(options.concurrency === undefined ? {} : { concurrency: options.concurrency, deadlineMs: options.timeoutMs }),
    },
    explainers: new Explainers(options.explainRows === undefined ? {} : { rows: options.explainRows }),
    drainMs,
    changed: () => changed.dispatchEvent(new Event('changed')),
    ...sourceOf(options, options.graphPath ?? modelPath),
  })
  const repository = repositoryOf(model, options.serverVersion, changed)
  const door = {
    model,
    repository,
    version: mlmodel.mlflowVersion ?? options.serverVersion,
    maxBodyBytes: options.maxBodyBytes,
    now: () => clock.now(),
    ...(isLoopback(host) ? { allowedHosts: options.allowedHosts } : {}),
    ...(options.token === undefined ? {} : { token: options.token }),
    example: readInputExample(modelPath, mlmodel),
  }
  const server = createServer(
    {
      keepAliveTimeout: 65_000,
      headersTimeout: Math.min(20_000, options.timeoutMs),
      requestTimeout: options.timeoutMs + 30_000,
      connectionsCheckingInterval: 1_000,
    },
    (request, response) => {
      answerInTime(response, options.timeoutMs + 1_000)
      if (signal.aborted) response.setHeader('connection', 'close')
      void answerModelHttp(door, request, response)
    },
  )
  const grpc = new LateGrpc({
    repository: () => repository,
    maxBodyBytes: options.maxBodyBytes,
    now: door.now,
    token: options.token,
  })
  tellOfBrokenRequests(server)
  const dropSilent = shareWithHttp2(server, (socket) => grpc.take(socket))
  await listen(server, host, options.port)
  const { port } = server.address() as AddressInfo
  const over = new AbortController()
  void everyQuarterSecond(clock, over.signal, () => model.expire(clock.now()))
  const close = () => shutDown(server, grpc, model, dropSilent).finally(() => over.abort())
  try {
    const grpcPort = options.grpcPort === undefined ? undefined : await grpc.listen(host, options.grpcPort)
    model.load()
    await untilReady(model, changed, signal, mlmodel.onnxFile === undefined ? wrongPython : wrongGraph)
    const exchanged = options.graphLater ? exchange(model, options, options.graphLater) : undefined
    const finished = aborted(signal).then(async () => void (await Promise.all([close(), exchanged])))
    return { url: httpUrl(host, port), port, ...(grpcPort === undefined ? {} : { grpcPort }), finished }
  } catch (error) {
    await close()
    throw error
  }
}

/** What computes the model that lies in a folder. */
const sourceOf = (options: ServeOptions, folder: string) => ({
  computing: readMlmodel(folder).onnxFile ? 1 : options.workers,
  begin: (changed: () => void) => openBackend(versionOf(options, folder), { ...backendSetting(options), changed }),
})

async function exchange(model: ServedModel, options: ServeOptions, { make, taken }: GraphLater): Promise<void> {
  const folder = await make()
  if (folder === undefined || options.signal.aborted) return
  const reason = await model.exchange(sourceOf(options, folder))
  if (reason === undefined) taken()
  else options.log.warn({ reason }, 'Its ONNX form cannot be loaded; Python goes on')
}

const versionOf = ({ name, pythonPath }: ServeOptions, modelPath: string) => ({
  model: name,
  version: 1,
  digest: digestOf(modelPath) as Digest,
  modelPath,
  pythonPath,
  inputs: { columns: [], checks: [] },
})

const backendSetting = (options: ServeOptions) => ({
  clock: options.clock,
  log: options.log,
  script: workerScript(),
  folder: options.folder,
  env: options.workerEnv,
  limits: {
    queueLength,
    waitMs: options.timeoutMs,
    answerMs: options.timeoutMs,
    totalMs: options.timeoutMs,
    loadMs,
    batchRows: options.batchRows,
    batchDelayMs: options.batchDelayMs,
    workers: options.workers,
    ...(options.spare === undefined ? {} : { spare: options.spare }),
    ...(options.network === undefined ? {} : { network: options.network }),
  },
  ...(options.threads === undefined ? {} : { threads: options.threads }),
})

function repositoryOf(model: ServedModel, serverVersion: string, changed: EventTarget): ModelRepository {
  const known = (name: string) => {
    if (!answersTo(model, name)) throw notFound(`There is no model "${name}"; there is "${model.name}".`)
  }
  return {
    serverVersion,
    get isReady() {
      return model.state === 'ready'
    },
    list: () => [model],
    find: (name) => (answersTo(model, name) ? model : undefined),
    statistics: async (models) => models.map(({ stats }) => stats),
    load: async (name) => {
      known(name)
      model.load()
      await untilReady(model, changed, undefined).catch((error: unknown) => {
        throw new ScoringError(400, 'MODEL_UNUSABLE', error instanceof Error ? error.message : String(error))
      })
    },
    unload: async (name) => {
      known(name)
      await model.unload()
    },
  }
}

/** Under the name by which MLflow serves every model through MLServer, too: scripts for that need no change. */
const answersTo = (model: ServedModel, name: string): boolean => name === model.name || name === 'mlflow-model'

const wrongPython =
  'See that the Python that runs it has what the model needs: --python names another one, --env-manager virtualenv makes one.'
const wrongGraph = 'See with `onnx.checker.check_model` what its file lacks, or save the model again.'

/** @throws AppError ModelUnusable */
async function untilReady(
  model: ServedModel,
  changed: EventTarget,
  signal: AbortSignal | undefined,
  next = wrongPython,
): Promise<void> {
  while (model.state !== 'ready') {
    if (model.state === 'failed' || signal?.aborted)
      throw new AppError(
        'ModelUnusable',
        `Model "${model.name}" cannot be served. ${model.reason ?? 'It was stopped while it loaded.'}`,
        next,
      )
    await new Promise<void>((resolve) => {
      changed.addEventListener('changed', () => resolve(), { once: true })
      signal?.addEventListener('abort', () => resolve(), { once: true })
    })
  }
}

async function shutDown(server: Server, grpc: LateGrpc, model: ServedModel, dropSilent: () => void): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  dropSilent()
  await Promise.all([model.unload(), grpc.close()])
  // Every answer has been given; what is still open is idle or will never end.
  setTimeout(() => server.closeAllConnections(), 500).unref()
  await closed
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) =>
    signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true }),
  )

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(cannotListen({ host, port }, { host: '--host', port: '--port' }, error)))
    server.listen(port, host, () => resolve())
  })
}

async function everyQuarterSecond(clock: Clock, signal: AbortSignal, work: () => void): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(250, signal)
    work()
  }
}
