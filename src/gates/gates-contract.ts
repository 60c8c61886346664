import { z } from 'zod'
import { route } from '../kernel/route.ts'

/** A number, or what has no JSON form as text: `NaN`, `Infinity`. */
const value = z.union([z.number(), z.string()]).nullish()

export const verdictShape = z.object({
  id: z.string(),
  project: z.string(),
  executionId: z.string(),
  model: z.string(),
  outcome: z.enum(['pass', 'warn', 'fail', 'inconclusive']),
  score: z.number(),
  reasons: z.array(z.string()),
  objectives: z.array(
    z.object({
      metric: z.string(),
      outcome: z.enum(['pass', 'warn', 'fail', 'inconclusive', 'info']),
      value,
      champion: value,
      bounds: z.array(
        z.object({ text: z.string(), level: z.enum(['pass', 'warn']), target: value, held: z.boolean().optional() }),
      ),
      score: z.number(),
      weight: z.number(),
      key: z.boolean(),
      reason: z.string(),
    }),
  ),
  ruleVersion: z.string(),
  inputsDigest: z.string(),
  at: z.number(),
})

export const listVerdicts = route({
  id: 'verdicts.list',
  summary: 'Verdicts of gates, newest first',
  method: 'GET',
  path: '/api/v1/verdicts',
  access: 'read',
  query: z.object({
    project: z.string().optional(),
    execution: z.string().optional(),
    limit: z.coerce.number().int().min(1).max(1000).default(100),
  }),
  output: z.object({ items: z.array(verdictShape) }),
})

export const getVerdict = route({
  id: 'verdicts.get',
  summary: 'One verdict with each objective',
  method: 'GET',
  path: '/api/v1/verdicts/:id',
  access: 'read',
  params: z.object({ id: z.string() }),
  output: verdictShape,
  errors: ['NotFound'],
})
