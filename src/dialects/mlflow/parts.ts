import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ArtifactService } from '../../artifacts/index.ts'
import type { Db } from '../../db/index.ts'
import type { Method } from '../../kernel/route.ts'
import type { Clock } from '../../ports/clock.ts'
import type { RegistryService } from '../../registry/index.ts'
import type { TrackingService } from '../../tracking/index.ts'

/** What the dialect translates to. */
export type MlflowParts = {
  db: Db
  clock: Clock
  artifacts: ArtifactService
  tracking: TrackingService
  registry: RegistryService
}

export type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

/** Each path exists twice: for programs, and for MLflow's own page (`/ajax-api`). */
export function mount(app: FastifyInstance, method: Method, path: string, handler: Handler): void {
  for (const root of ['/api', '/ajax-api']) app.route({ method, url: root + path, handler })
}
