import { z } from 'zod'
import { route } from '../kernel/route.ts'

const ofProject = z.object({ project: z.string() })

const trigger = z
  .record(z.string(), z.unknown())
  .describe('what asked for it: drift, metric, schedule or person, with its facts')

const retrainingShape = z.object({
  id: z.string(),
  project: z.string(),
  environment: z.string(),
  cause: z.string().describe('one of a kind: the same cause never starts twice'),
  trigger,
  requestedBy: z.string(),
  decidedAt: z.int(),
  state: z.enum(['intended', 'frozen', 'started', 'failed']),
  frozen: z.array(z.object({ dataset: z.string(), digest: z.string(), rows: z.int() })).optional(),
  executionId: z.string().optional(),
  startedAt: z.int().optional(),
  error: z.object({ code: z.string(), message: z.string(), next: z.string() }).optional(),
})

const outcome = z.enum(['retrain', 'wait', 'nothing'])

export const requestRetraining = route({
  id: 'retraining.request',
  summary: 'A person asks for retraining: through cool-down and budget, never beside one that is under way.',
  method: 'POST',
  path: '/api/v1/projects/:project/retrain',
  access: 'member',
  params: ofProject,
  body: z.object({ environment: z.string().max(200), note: z.string().max(1000).optional() }),
  output: retrainingShape,
  errors: ['NotFound', 'Conflict', 'ConfigInvalid'],
})

export const getRetraining = route({
  id: 'retraining.get',
  summary:
    'Each environment: what asks for retraining now and what stands in the way, schedules, budget, what was decided',
  method: 'GET',
  path: '/api/v1/projects/:project/retraining',
  access: 'read',
  params: ofProject,
  output: z.object({
    environments: z.array(
      z.object({
        environment: z.string(),
        on: z.array(z.string()),
        cooldown: z.object({ ms: z.int(), until: z.int().optional() }),
        budget: z.object({ count: z.int(), perMs: z.int(), left: z.int() }),
        schedules: z.array(z.object({ text: z.string(), cron: z.string(), nextAt: z.int().optional() })),
        open: z.array(z.object({ cause: z.string(), outcome, reasons: z.array(z.string()) })),
        retrainings: z.array(retrainingShape),
        decisions: z.array(
          z.object({
            id: z.string(),
            at: z.int(),
            cause: z.string(),
            trigger,
            outcome,
            reasons: z.array(z.string()),
            ruleVersion: z.string(),
            inputsDigest: z.string(),
          }),
        ),
      }),
    ),
  }),
  errors: ['NotFound'],
})
