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

const workerShape = z.object({
  pid: z.int(),
  state: z.enum(['loading', 'ready', 'failed', 'restarting']),
  memoryBytes: z.int().optional().describe('what is its own (Pss), as measured last'),
})

export const servedVersionShape = versionName.extend({
  weight: z.number().describe('the share of the traffic that it gets now, or would get if it woke'),
  state: z
    .enum(['loading', 'ready', 'failed', 'restarting', 'asleep'])
    .describe('asleep: not in memory, and loaded by the next request unless it is held'),
  cause: z
    .enum(['idle', 'for others', 'held', 'not loaded', 'too large', 'no room'])
    .optional()
    .describe('why it is asleep, or failed, in a word'),
  since: z.int().optional().describe('when it fell asleep, or was refused'),
  reason: z.string().optional().describe('why it is not ready'),
  computes: z.enum(['onnx', 'python']).describe('what computes it, or would'),
  computesReason: z.string().optional().describe('of Python why it is not ONNX, of ONNX what was proved'),
  memoryBytes: z.int().optional().describe('what it takes of the serving memory, as measured last'),
  workers: z.array(workerShape).optional().describe('its Python processes'),
  replacedForMemory: z.int().optional().describe('processes that took more memory than they may'),
})

const byKind = z.record(z.string(), z.int()).describe('by kind: missing, type, range, …')

export const servedEndpointShape = z.object({
  countedSince: z.int().describe('when the gateway began: what is counted here counts from then on'),
  versions: z.array(servedVersionShape),
  requests: z
    .object({ inside: z.int(), waiting: z.int(), turnedAway: z.int() })
    .optional()
    .describe('those that are there now, and those that were turned away because too many were'),
  inputs: z
    .object({ refused: byKind, warned: byKind, imputed: z.int() })
    .optional()
    .describe(
      'refused: requests by their first problem; warned: problems of requests that were answered; imputed: values',
    ),
  guardTripped: z
    .object({ newcomer: z.string(), at: z.int(), reason: z.string() })
    .optional()
    .describe('the gateway itself took the newcomer out of traffic'),
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
  endpoint: servedEndpointShape
    .optional()
    .describe('as the gateway has it now; none where the gateway does not answer or does not have it'),
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

export const getGateway = route({
  id: 'gateway.get',
  summary: 'The gateway that answers predictions: whether it answers, the memory of all models, what it writes down',
  method: 'GET',
  path: '/api/v1/gateway',
  access: 'read',
  output: z.object({
    answers: z.boolean(),
    processes: z
      .object({ of: z.int(), answering: z.array(z.int()) })
      .optional()
      .describe('where it is several: how many it should be, and the numbers of those that answered'),
    startedAt: z.int().optional(),
    problem: z.string().optional().describe('why the last good desired state goes on instead of the one that is there'),
    memory: z
      .object({ budget: z.int().optional(), used: z.int() })
      .optional()
      .describe('bytes that all models together take or are promised, and may take (no budget: no limit)'),
    journal: z
      .object({ written: z.int(), dropped: z.int() })
      .optional()
      .describe('predictions that were written down since it began, and those that could not be'),
  }),
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
