import pino from 'pino'
import { MemoryObjectStore } from '../../../src/adapters/objects/memory/memory-object-store.ts'
import { ArtifactService } from '../../../src/artifacts/index.ts'
import { createHttpApp } from '../../../src/compose/http/app.ts'
import type { Db } from '../../../src/db/index.ts'
import { mlflowDialect } from '../../../src/dialects/mlflow/index.ts'
import { AppError } from '../../../src/kernel/errors.ts'
import { type Actor, anonymous } from '../../../src/kernel/route.ts'
import { RegistryService } from '../../../src/registry/index.ts'
import { TrackingService } from '../../../src/tracking/index.ts'
import type { TestDatabase } from '../../support/databases.ts'

export type MlflowServer = {
  url: string
  db: Db
  artifacts: ArtifactService
  tracking: TrackingService
  registry: RegistryService
  /** A token for a step's own run. */
  stepToken: (runId: string) => string
  close: () => Promise<void>
}

/** The dialect behind the real HTTP door, on a free port of loopback. */
export async function startMlflowServer(database: TestDatabase): Promise<MlflowServer> {
  const db = await database.open()
  let time = 1_760_000_000_000
  const clock = { now: () => time++, sleep: async () => {} }
  const artifacts = new ArtifactService({ db, clock, objects: new MemoryObjectStore() })
  const tracking = new TrackingService({ db, clock })
  const registry = new RegistryService({ db, clock })
  const app = createHttpApp({
    log: pino({ level: 'silent' }),
    loopback: true,
    allowedHosts: [],
    authenticate: async (authorization) => actorFrom(authorization),
  })
  mlflowDialect(app, { db, clock, artifacts, tracking, registry })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  return {
    url,
    db,
    artifacts,
    tracking,
    registry,
    stepToken: (runId) => `step-${runId}`,
    close: async () => {
      await app.close()
      await db.destroy()
    },
  }
}

function actorFrom(authorization: string | undefined): Actor {
  if (authorization === undefined) return anonymous
  const [, runId] = /^Bearer step-(\w+)$/.exec(authorization) ?? []
  if (runId === undefined) throw new AppError('Unauthenticated', 'The token is not known.', 'Send a valid one.')
  return { kind: 'step', name: `step ${runId}`, runId }
}
