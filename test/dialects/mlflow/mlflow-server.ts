import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { AccessService, type Level, SecretBox } from '../../../src/access/index.ts'
import { MemoryObjectStore } from '../../../src/adapters/objects/memory/memory-object-store.ts'
import { ArtifactService } from '../../../src/artifacts/index.ts'
import { createHttpApp, type HttpOptions } from '../../../src/compose/http/app.ts'
import { type Db, Dispatcher, subscribe } from '../../../src/db/index.ts'
import { mlflowDialect } from '../../../src/dialects/mlflow/index.ts'
import { EvaluationsService, ReviewQueuesService } from '../../../src/evaluations/index.ts'
import type { Actor } from '../../../src/kernel/route.ts'
import { RegistryService } from '../../../src/registry/index.ts'
import { TracesService } from '../../../src/traces/index.ts'
import { TrackingService } from '../../../src/tracking/index.ts'
import { DeliveryEngine, toldEvents, WebhooksService } from '../../../src/webhooks/index.ts'
import type { TestDatabase } from '../../support/databases.ts'

export type MlflowServer = {
  url: string
  /** All that is mounted: `GET /api/2.0/…`. */
  routes: string[]
  db: Db
  access: AccessService
  ownerToken: string
  artifacts: ArtifactService
  tracking: TrackingService
  traces: TracesService
  registry: RegistryService
  evaluations: EvaluationsService
  webhooks: WebhooksService
  /** Brings what the registry told on its way, and waits for the answers. */
  deliverWebhooks: () => Promise<void>
  /** A token for a step's own run. */
  stepToken: (runId: string) => string
  close: () => Promise<void>
}

export type MlflowServerOptions = {
  door?: Partial<HttpOptions>
  access?: { defaultPermission?: Level; passwordCost?: { N: number; r: number; p: number } }
}

/** The dialect behind the real HTTP door, on a free port of loopback. */
export async function startMlflowServer(
  database: TestDatabase,
  options: MlflowServerOptions = {},
): Promise<MlflowServer> {
  const db = await database.open()
  let time = 1_760_000_000_000
  const clock = { now: () => time++, sleep: async () => {} }
  const artifacts = new ArtifactService({ db, clock, objects: new MemoryObjectStore() })
  const tracking = new TrackingService({ db, clock })
  const traces = new TracesService({ db, clock, tracking })
  const registry = new RegistryService({ db, clock })
  const evaluations = new EvaluationsService({ db, clock, tracking })
  const reviewQueues = new ReviewQueuesService({ db, clock, tracking, traces })
  const secrets = new SecretBox(Buffer.alloc(32, 1))
  const webhooks = new WebhooksService({
    db,
    clock,
    secrets,
    policy: { schemes: ['https', 'http'], allowPrivate: true },
  })
  const log = pino({ level: 'silent' })
  const deliveries = new DeliveryEngine({ db, clock, log, secrets, allowPrivate: true, chance: () => 0 })
  const dispatcher = new Dispatcher({ db, clock, log })
  const subscription = subscribe('webhooks', toldEvents, (event) => webhooks.onEvent(event))
  const folder = mkdtempSync(join(tmpdir(), 'mw-mlflow-'))
  const access = new AccessService({
    db,
    clock,
    ownerTokenPath: join(folder, 'owner.token'),
    passwordCost: { N: 2, r: 1, p: 1 },
    ...options.access,
  })
  await access.prepareOwnerToken()
  const app = createHttpApp({
    log,
    loopback: true,
    allowedHosts: [],
    authenticate: async (authorization) => stepFrom(authorization) ?? access.authenticate(authorization),
    ...options.door,
  })
  const routes: string[] = []
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) routes.push(`${one} ${url}`)
  })
  mlflowDialect(app, { db, clock, access, artifacts, tracking, traces, registry, evaluations, reviewQueues, webhooks })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  return {
    url,
    routes,
    db,
    access,
    ownerToken: readFileSync(join(folder, 'owner.token'), 'utf8').trim(),
    artifacts,
    tracking,
    traces,
    registry,
    evaluations,
    webhooks,
    deliverWebhooks: async () => {
      const { signal } = new AbortController()
      await dispatcher.deliverTo(subscription, signal)
      await deliveries.pass(signal)
      await deliveries.idle()
    },
    stepToken: (runId) => `step-${runId}`,
    close: async () => {
      await app.close()
      await db.destroy()
      rmSync(folder, { recursive: true })
    },
  }
}

function stepFrom(authorization: string | undefined): Actor | undefined {
  const [, runId] = /^Bearer step-(\w+)$/.exec(authorization ?? '') ?? []
  return runId === undefined ? undefined : { kind: 'step', name: `step ${runId}`, runId }
}
