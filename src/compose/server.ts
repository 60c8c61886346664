import { rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { type Db, Dispatcher, isPostgres, onNews, openDatabase } from '../db/index.ts'
import { mlflowDialect } from '../dialects/mlflow/index.ts'
import { gitHttp } from '../forges/index.ts'
import type { EventType } from '../kernel/events.ts'
import { cannotListen, httpUrl } from '../kernel/listening.ts'
import { asStorageError } from '../kernel/storage-errors.ts'
import { createPorts, type Ports } from './adapters.ts'
import type { Config } from './config.ts'
import { lockAsMember, makeFolder } from './data-folder.ts'
import { createHttpApp, mountEndpoints } from './http/app.ts'
import { LiveEvents } from './http/live-events.ts'
import { openApiOf } from './http/openapi.ts'
import { serveUi } from './http/ui.ts'
import { createLog } from './log.ts'
import { Loop } from './loop.ts'
import { writeFacts } from './members.ts'
import { createSlices } from './slices.ts'

const deliveryLeaseMs = 60_000

/** One server serves a data folder; with PostgreSQL further ones may, each under a name. */
const nameOf = ({ replica }: Config): string => (replica === '' ? 'server' : `server-${replica}`)

export type RunningServer = { url: string; stop: () => Promise<void> }

/** Starts the server: lock, database, slices, door, loops; what a crash left behind is taken up by the loops themselves. */
export async function startServer(config: Config): Promise<RunningServer> {
  const log = createLog('server', config)
  for (const dir of [config.dataDir, config.runDir, config.workDir, config.gatewayDir]) makeFolder(dir)
  const lock = lockAsMember(config.runDir, nameOf(config), config.environment)
  try {
    return await start(config, log, lock.release)
  } catch (error) {
    lock.release()
    throw asStorageError(error)
  }
}

async function start(config: Config, log: Logger, releaseLock: () => void): Promise<RunningServer> {
  const ports = createPorts(config)
  const db = await openDatabase(config.database, config)
  // The lock says that no other server is there, which holds only where others cannot reach the database: what was held is free.
  if (!isPostgres(db)) await db.deleteFrom('leases').execute()
  let url = ''
  const slices = createSlices(config, ports, db, log, {
    trackingUri: () => url,
    publicUrl: () => config.publicUrl || url,
    gatewayUrl: () => httpUrl(config.localHost, config.gatewayPort),
  })
  if (config.replica === '') await ports.objects.clearLeftovers()
  await slices.access.prepareOwnerToken()

  const app = createHttpApp({
    log,
    loopback: config.loopback,
    requireLogin: config.requireLogin,
    allowedHosts: listIn(config.allowedHost),
    corsOrigins: listIn(config.corsOrigin),
    authenticate: (authorization) => slices.access.authenticate(authorization),
  })
  const live = new LiveEvents(db)
  mountDoors(app, { config, ports, slices, db, live, log })
  await listen(app, config)
  url = httpUrl(config.localHost, (app.server.address() as AddressInfo).port)
  writeFacts(config.runDir, nameOf(config), { pid: process.pid, url })

  const stopping = new AbortController()
  const dispatcher = new Dispatcher({ db, clock: ports.clock, log })
  const deliveries = slices.subscriptions.map((subscription) => ({
    on: subscription.on,
    loop: new Loop(subscription.consumer, 5_000, async (signal) => {
      if (await slices.leases.claim(`events ${subscription.consumer}`, deliveryLeaseMs))
        await dispatcher.deliverTo(subscription, signal)
    }),
  }))
  const liveLoop = new Loop('live events', 15_000, () => live.pass())
  onNews(
    db,
    soon((types) => {
      for (const { on, loop } of deliveries) if (on.some((type) => types.has(type))) loop.wake()
      liveLoop.wake()
    }),
  )
  const running = [...slices.loops, ...deliveries.map(({ loop }) => loop), liveLoop].map((loop) =>
    loop.run(ports.clock, log, stopping.signal),
  )
  log.info({ url, data: config.dataDir }, 'ready')

  let stopped: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    stopping.abort()
    live.close()
    await app.close()
    const settled = slices.artifacts.settler.stop()
    ports.objects.close()
    await settled
    await Promise.all(running)
    await slices.engine.idle()
    await slices.webhookDeliveries.idle()
    await slices.preparation.stop()
    await slices.leases.releaseAll()
    await ports.repositories.close()
    await db.destroy()
    rmSync(join(config.runDir, `${nameOf(config)}.json`), { force: true })
    releaseLock()
  }
  return { url, stop: () => (stopped ??= stop()) }
}

type Behind = {
  config: Config
  ports: Ports
  slices: ReturnType<typeof createSlices>
  db: Db
  live: LiveEvents
  log: Logger
}

/** All that answers on the one port: our API, live events, Git, MLflow's API, the pages. */
function mountDoors(app: ReturnType<typeof createHttpApp>, { config, ports, slices, db, live, log }: Behind): void {
  app.get('/health', async (_, reply) => reply.type('text/plain').send('OK'))
  mountEndpoints(app, slices.endpoints)
  app.get('/api/v1/openapi.json', async () => openApiOf(slices.endpoints.map(({ route }) => route)))
  live.mount(app)
  gitHttp(app, {
    projects: slices.projects,
    repositories: ports.repositories,
    pushes: slices.pushes,
    hooksFolder: join(config.gitDir, 'hooks'),
    nodePath: process.execPath,
    searchPath: config.environment.PATH ?? '/usr/local/bin:/usr/bin:/bin',
    onPush: () => ports.executor.prepare(),
    log,
  })
  mlflowDialect(app, { ...slices, db, clock: ports.clock })
  serveUi(app)
}

async function listen(app: ReturnType<typeof createHttpApp>, config: Config): Promise<void> {
  // What its parts prepare may fail for reasons that have nothing to do with the address.
  await app.ready()
  try {
    await app.listen({ host: config.host, port: config.port })
  } catch (error) {
    throw cannotListen(config, { host: '--host', port: '--port' }, error as NodeJS.ErrnoException)
  }
}

const listIn = (setting: string): string[] =>
  setting
    .split(',')
    .map((one) => one.trim())
    .filter(Boolean)

/** Many commits in a moment are one reason to look. */
function soon(act: (types: ReadonlySet<EventType>) => void): (types: ReadonlySet<EventType>) => void {
  let waiting: Set<EventType> | undefined
  return (types) => {
    const isFirst = waiting === undefined
    waiting = new Set([...(waiting ?? []), ...types])
    if (!isFirst) return
    setTimeout(() => {
      const gathered = waiting!
      waiting = undefined
      act(gathered)
    }, 3)
  }
}
