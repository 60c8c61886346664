import { z } from 'zod'
import { route } from '../kernel/route.ts'

const versionName = z.object({ digest: z.string(), version: z.int() })
const counts = z.object({ requests: z.int(), failed: z.int(), inputRefused: z.int() })

const decisionShape = z.object({
  at: z.int(),
  outcome: z.string(),
  reasons: z.array(z.string()),
  ruleVersion: z.string(),
  inputsDigest: z.string(),
})

export const rolloutShape = z.object({
  id: z.string(),
  project: z.string(),
  environment: z.string(),
  model: z.string(),
  newcomer: versionName,
  old: versionName.optional(),
  commit: z.string(),
  state: z.enum([
    ...['preparing', 'step', 'waiting', 'rolling back'],
    ...['done', 'stalled', 'rolled back', 'superseded'],
  ] as const),
  step: z.int(),
  canary: z.array(z.number()).describe('shares of traffic, step by step'),
  everyMs: z.int(),
  minRequests: z.int(),
  stepSince: z.int(),
  straight: z.string().optional().describe('why it takes all traffic at once'),
  reason: z.string().optional(),
  stallCause: z.string().optional(),
  createdAt: z.int(),
  updatedAt: z.int(),
  decisions: z.array(decisionShape),
})

export const deploymentShape = z.object({
  project: z.string(),
  environment: z.string(),
  state: z.enum(['nothing declared', 'progressing', 'waiting for a person', 'serving', 'mismatch', 'stalled']),
  reason: z.string().optional(),
  since: z.int(),
  desired: z.object({ model: z.string(), version: z.int().optional(), digest: z.string().optional() }).optional(),
  serving: versionName.extend({ model: z.string() }).optional(),
  weights: z
    .array(versionName.extend({ weight: z.number(), actual: z.number().optional(), worker: z.string().optional() }))
    .describe('the share that each version shall have, and the one that the gateway gives it'),
  rollout: rolloutShape
    .extend({ traffic: z.object({ newcomer: counts, old: counts }), next: z.string() })
    .optional()
    .describe('the one under way, with what was counted in its step and what it waits for'),
})

const byProject = z.object({ project: z.string() })

export const listDeployments = route({
  id: 'deployments.list',
  summary: 'What Git declares for each environment beside what serves there',
  method: 'GET',
  path: '/api/v1/projects/:project/deployments',
  access: 'read',
  params: byProject,
  output: z.object({ items: z.array(deploymentShape) }),
  errors: ['NotFound'],
})

export const getDeployment = route({
  id: 'deployments.get',
  summary: 'One environment, with its rollouts (newest first) and the history of what Git declared (newest first)',
  method: 'GET',
  path: '/api/v1/projects/:project/deployments/:environment',
  access: 'read',
  params: byProject.extend({ environment: z.string() }),
  output: deploymentShape.extend({
    rollouts: z.array(rolloutShape),
    desiredHistory: z.array(
      z.object({
        model: z.string().optional(),
        version: z.int().optional(),
        digest: z.string().optional(),
        commit: z.string(),
        actor: z.string(),
        origin: z.enum(['push', 'modelwright']),
        at: z.int(),
      }),
    ),
  }),
  errors: ['NotFound'],
})

const byId = z.object({ id: z.string() })
const requested = z.object({ id: z.string(), requested: z.enum(['continue', 'abort']) })

export const continueRollout = route({
  id: 'rollouts.continue',
  summary: 'A person says that a rollout goes on to its next step, although it has seen too little traffic to decide.',
  method: 'POST',
  path: '/api/v1/rollouts/:id/continue',
  access: 'member',
  params: byId,
  output: requested,
  errors: ['NotFound', 'Conflict', 'Forbidden'],
})

export const abortRollout = route({
  id: 'rollouts.abort',
  summary:
    'A person stops a rollout: the old version gets all traffic, the new one is barred, and the revert is proposed.',
  method: 'POST',
  path: '/api/v1/rollouts/:id/abort',
  access: 'member',
  params: byId,
  output: requested,
  errors: ['NotFound', 'Conflict', 'Forbidden'],
})
