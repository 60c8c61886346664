import { z } from 'zod'
import { route } from '../kernel/route.ts'

const outcome = z.enum(['answered', 'input refused', 'failed'])
const rowParts = {
  key: z.string().optional(),
  subject: z.string().optional(),
  input: z.record(z.string(), z.unknown()),
  output: z.unknown().optional(),
}
const answer = {
  id: z.string(),
  at: z.int(),
  project: z.string(),
  environment: z.string(),
  model: z.string(),
  version: z.int(),
  digest: z.string(),
  outcome,
  latencyMs: z.number(),
  error: z.string().optional(),
  warnings: z.record(z.string(), z.int()).optional(),
}

export const getPrediction = route({
  id: 'predictions.get',
  summary: 'What was asked, what was answered, and by which version',
  method: 'GET',
  path: '/api/v1/predictions/:id',
  access: 'read',
  params: z.object({ id: z.string() }),
  output: z.object({
    /** From the id itself: true even where the record is gone or was never kept. */
    decoded: z.object({ at: z.int(), version: z.int(), digestPrefix: z.string() }),
    record: z.object({ ...answer, rows: z.array(z.object(rowParts)) }).optional(),
  }),
  errors: ['NotFound'],
})

export const listPredictions = route({
  id: 'predictions.list',
  summary: 'The newest predictions of a deployment, one item per input row',
  method: 'GET',
  path: '/api/v1/deployments/:project/:environment/predictions',
  access: 'read',
  params: z.object({ project: z.string(), environment: z.string() }),
  query: z.object({
    limit: z.coerce.number().int().min(1).max(1000).default(100),
    digest: z.string().optional(),
    fromMs: z.coerce.number().int().optional(),
    toMs: z.coerce.number().int().optional(),
  }),
  output: z.object({ items: z.array(z.object({ ...answer, ...rowParts })) }),
})

const erasure = z.object({
  id: z.string(),
  at: z.int(),
  project: z.string(),
  environment: z.string().optional(),
  /** A keyed hash: the subject itself is written nowhere. */
  subjectHash: z.string(),
  column: z.string().optional(),
  /** Removed so far. */
  rows: z.int(),
  isDone: z.boolean(),
})

export const erasePredictions = route({
  id: 'predictions.erase',
  summary: "Remove a person's rows from the prediction log",
  method: 'POST',
  path: '/api/v1/projects/:project/predictions/erasures',
  access: 'owner',
  params: z.object({ project: z.string() }),
  body: z.strictObject({
    subject: z.string().min(1).max(10_000),
    environment: z
      .string()
      .regex(/^[\w.-]{1,200}$/)
      .optional(),
    column: z
      .string()
      .min(1)
      .regex(/^[^"\\\0]*$/, 'no double quote and no backslash')
      .optional(),
  }),
  output: erasure,
  errors: ['BadRequest', 'NotFound'],
})

export const listErasures = route({
  id: 'predictions.erasures',
  summary: 'What was removed from the prediction log on request, the newest first',
  method: 'GET',
  path: '/api/v1/projects/:project/predictions/erasures',
  access: 'member',
  params: z.object({ project: z.string() }),
  query: z.object({ limit: z.coerce.number().int().min(1).max(1000).default(100) }),
  output: z.object({ items: z.array(erasure) }),
})
