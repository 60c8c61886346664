import { mkdirSync, watch } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, Server as NetServer } from 'node:net'
import { join } from 'node:path'
import { AppError } from '../../kernel/errors.ts'
import { cannotListen, httpUrl } from '../../kernel/listening.ts'
import { seededRng } from '../../math/rng.ts'
import type { Clock } from '../../ports/clock.ts'
import { mergeObserved } from '../decide/merge-gateways.ts'
import { Explainers } from '../explain/explainers.ts'
import type { GatewayObserved } from '../gateway-state.ts'
import { LogHash } from '../log-hash.ts'
import type { WorkerLimits } from '../models/python-model.ts'
import type { ServingLog } from '../models/serving-log.ts'
import { tellOfBrokenRequests } from '../protocols/broken-requests.ts'
import { isLoopback } from '../protocols/door-checks.ts'
import { answerInTime } from '../protocols/http-exchange.ts'
import { LateGrpc, shareWithHttp2 } from '../protocols/one-port.ts'
import { workerScript } from '../python-folder.ts'
import { repositoryOf } from './endpoint-repository.ts'
import { Gateway } from './gateway.ts'
import { answerHttp } from './gateway-http.ts'
import { type JournalLimits, JournalWriter, journalLimits } from './journal-writer.ts'
import { MemoryBudget } from './memory-budget.ts'
import { ModelSizes } from './model-sizes.ts'
import { type GatewayNumber, Siblings } from './siblings.ts'
import type { LineLimits } from './waiting-line.ts'

export type GatewayOptions = {
  dataDir: string
  host: string
  /** 0 takes any free one. */
  port: number
  log: ServingLog
  clock: Clock
  /** Aborted: no new requests, answers what was begun, stops the workers. */
  signal: AbortSignal
  /** Names that the Host header may carry beside loopback ones, where it listens on loopback; absent: any. */
  allowedHosts?: readonly string[]
  token?: string
  /** Told by `/version`. */
  version?: string
  /** Of the draws by which requests without a key are shared out; two gateways of one endpoint need not agree. */
  seed?: number | string
  workerEnv?: Record<string, string>
  limits?: Partial<WorkerLimits & { drainMs: number; maxBodyBytes: number; line: LineLimits & { waitMs: number } }>
  /** What all models together may take, of all processes of the gateway; absent: whatever there is. */
  memoryBytes?: number
  /** Where several processes share the port: which of them this is. They share out memory and limits. */
  process?: GatewayNumber
  /** Most rows that one request may ask to explain (1,000). */
  explainRows?: number
  journal?: Partial<JournalLimits>
}

export type RunningGateway = {
  url: string
  port: number
  /** Where this process answers `/health` by itself; absent where nobody shares its port. */
  ownUrl?: string
  /** Of this process alone. */
  status(): GatewayObserved
  /** Resolves when everything has ended after the signal. */
  finished: Promise<void>
}

/** For what clients had sent when they could not know yet that it ends. */
const lastRequestsMs = 200

const defaultLimits = {
  queueLength: 256,
  waitMs: 30_000,
  answerMs: 60_000,
  loadMs: 300_000,
  drainMs: 30_000,
  maxBodyBytes: 32_000_000,
  // A swap in place takes as long as the load of a large model.
  line: { requests: 10_000, bytes: 128_000_000, waitMs: 120_000 },
}

/** Starts the data plane and returns when it listens; models load meanwhile. @throws AppError PortTaken, BadRequest */
export async function runGateway(options: GatewayOptions): Promise<RunningGateway> {
  const { clock, log, signal } = options
  const limits = { ...defaultLimits, ...options.limits }
  const folder = join(options.dataDir, 'gateway')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const self = options.process ?? { number: 1, of: 1 }
  const rng = seededRng(options.seed ?? `${clock.now()} ${self.number}`)
  const journal = new JournalWriter(join(folder, 'journal'), clock, log, { ...journalLimits, ...options.journal })
  const sizes = new ModelSizes(folder, () => clock.now())
  const setting = {
    worker: { clock, log, limits, script: workerScript(), folder, env: options.workerEnv ?? {} },
    journal,
    draw: rng.uniform,
    logHash: new LogHash(folder),
    drainMs: limits.drainMs,
    budget: new MemoryBudget(options.memoryBytes === undefined ? undefined : options.memoryBytes / self.of),
    sizes,
    line: limits.line,
    explainers: new Explainers(options.explainRows === undefined ? {} : { rows: options.explainRows }),
  }
  const gateway = new Gateway(folder, setting, self.of)
  const siblings = new Siblings(folder, self, () => gateway.tell(journal))
  const others = async () => (await siblings.askAll()).map(({ told }) => told)
  const door = {
    gateway,
    status: () => statusOf(self, gateway.status(journal), siblings),
    others,
    version: options.version ?? 'modelwright',
    now: () => clock.now(),
    maxBodyBytes: limits.maxBodyBytes,
    // Beyond loopback the gateway is meant to be reached under any name.
    ...(options.allowedHosts && isLoopback(options.host) ? { allowedHosts: options.allowedHosts } : {}),
    ...(options.token === undefined ? {} : { token: options.token }),
  }
  // Until desired.json is read, nobody knows which endpoints there are: who asks so early waits instead of hearing 404.
  const opened = Promise.withResolvers<void>()
  opened.promise.catch(() => undefined)
  const lastMs = () => Math.max(limits.waitMs, limits.line.waitMs, gateway.longestWaitMs) + limits.answerMs + 10_000
  const patience = {
    keepAliveTimeout: 65_000,
    headersTimeout: 20_000,
    requestTimeout: 120_000,
    connectionsCheckingInterval: 1_000,
  }
  const server = createServer(patience, (request, response) => {
    answerInTime(response, lastMs())
    // A client that keeps its connection would come back to a gateway that is gone.
    if (signal.aborted) response.setHeader('connection', 'close')
    opened.promise.then(
      () => answerHttp(door, request, response),
      () => response.destroy(),
    )
  })
  const grpc = new LateGrpc({
    repository: () => repositoryOf(gateway.endpoints, { serverVersion: door.version, byModel: false, others }),
    maxBodyBytes: limits.maxBodyBytes,
    now: door.now,
    token: options.token,
  })
  tellOfBrokenRequests(server)
  const dropSilent = shareWithHttp2(server, (socket) => grpc.take(socket))
  // First of all: a second gateway on this port must not touch the journal of the first.
  await listen(server, { host: options.host, port: options.port, reusePort: self.of > 1 })
  const ownUrl = await journal
    .open(isAlive)
    .then(() => gateway.open())
    .then(() => siblings.open())
    .catch((error: unknown) => {
      opened.reject(error)
      throw error
    })
  opened.resolve()
  const loops = Promise.all([
    followDesired(gateway, folder, options),
    every(250, options, () => gateway.expire(clock.now())),
    every(100, options, () => journal.flush()),
    self.of === 1 ? undefined : every(500, options, async () => gateway.isWatching && gateway.hear(await others())),
  ])
  const { port } = server.address() as AddressInfo
  log.info({ host: options.host, port }, 'gateway listens')
  const finished = loops
    .then(() => siblings.close())
    .then(() => shutDown({ server, grpc, gateway, journal, dropSilent }, { clock, drainMs: limits.drainMs }))
    .then(() => sizes.settled())
    .then(() => log.info({}, 'gateway ended'))
  return {
    url: httpUrl(options.host, port),
    port,
    ...(ownUrl && { ownUrl }),
    status: () => gateway.status(journal),
    finished,
  }
}

type Running = { server: Server; grpc: LateGrpc; gateway: Gateway; journal: JournalWriter; dropSilent: () => void }

async function shutDown(
  { server, grpc, gateway, journal, dropSilent }: Running,
  { clock, drainMs }: { clock: Clock; drainMs: number },
): Promise<void> {
  // Not http's own, which at once ends connections whose next request is still on its way.
  const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()))
  await clock.sleep(lastRequestsMs)
  server.closeIdleConnections()
  dropSilent()
  await Promise.all([gateway.stop(drainMs), grpc.close()])
  await journal.close()
  // Every answer has been given; what is still open is idle or will never end.
  setTimeout(() => server.closeAllConnections(), 500).unref()
  await closed
}

/** All processes of the gateway as one, and which of them answered. */
async function statusOf(self: GatewayNumber, own: GatewayObserved, siblings: Siblings): Promise<GatewayObserved> {
  if (self.of === 1) return own
  const all = [...(await siblings.askAll()), { number: self.number, told: { observed: own } }]
  const answering = all.sort((a, b) => a.number - b.number)
  return {
    ...mergeObserved(answering.map(({ told }) => told.observed)),
    processes: { of: self.of, answering: answering.map(({ number }) => number) },
  }
}

function listen(server: Server, at: { host: string; port: number; reusePort: boolean }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'ENOTSUP'
          ? new AppError(
              'NotYetSupported',
              'This system does not let several processes share a port.',
              'Run one gateway (--gateways 1), or run it on Linux.',
              { cause: error },
            )
          : cannotListen(at, { host: '--host', port: '--gateway-port' }, error),
      ),
    )
    server.listen(at, () => resolve())
  })
}

/** Watching alone misses changes on some file systems, polling alone is late. */
async function followDesired(gateway: Gateway, folder: string, { clock, signal, log }: GatewayOptions): Promise<void> {
  let woken = new AbortController()
  const watcher = watch(folder, { persistent: false }, (_, name) => {
    if (name === null || name === 'desired.json') woken.abort()
  })
  watcher.on('error', () => undefined)
  signal.addEventListener('abort', () => woken.abort(), { once: true })
  while (!signal.aborted) {
    woken = new AbortController()
    await gateway
      .takeDesired()
      .catch((error: unknown) => log.error({ error: String(error) }, 'desired.json could not be taken'))
    if (!signal.aborted) await clock.sleep(1_000, woken.signal)
  }
  watcher.close()
}

async function every(ms: number, { clock, signal }: GatewayOptions, work: () => unknown): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(ms, signal)
    await work()
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
