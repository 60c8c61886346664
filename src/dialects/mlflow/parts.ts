import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { AccessService } from '../../access/index.ts'
import type { ArtifactService } from '../../artifacts/index.ts'
import type { Db } from '../../db/index.ts'
import type { EvaluationsService, ReviewQueuesService } from '../../evaluations/index.ts'
import type { Method } from '../../kernel/route.ts'
import type { Clock } from '../../ports/clock.ts'
import type { RegistryService } from '../../registry/index.ts'
import type { TracesService } from '../../traces/index.ts'
import type { TrackingService } from '../../tracking/index.ts'
import type { WebhooksService } from '../../webhooks/index.ts'

/** What the dialect translates to. */
export type MlflowParts = {
  db: Db
  clock: Clock
  access: AccessService
  artifacts: ArtifactService
  tracking: TrackingService
  traces: TracesService
  registry: RegistryService
  evaluations: EvaluationsService
  reviewQueues: ReviewQueuesService
  webhooks: WebhooksService
}

export type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

/** Each path exists twice: for programs, and for MLflow's own page (`/ajax-api`). */
export function mount(
  app: FastifyInstance,
  method: Method,
  path: string,
  handler: Handler,
  options: { bodyLimit?: number } = {},
): void {
  for (const root of ['/api', '/ajax-api']) app.route({ method, url: root + path, handler, ...options })
}
