import { z } from 'zod'
import { route } from '../kernel/route.ts'

const scalar = z.union([z.string(), z.number(), z.boolean()])

const errorShape = z.object({
  code: z.string(),
  message: z.string(),
  next: z.string(),
  place: z.object({ file: z.string(), line: z.number().optional(), column: z.number().optional() }).optional(),
})

const decisionShape = z.object({
  outcome: z.enum(['runs', 'reused', 'decided later']),
  key: z.string().optional(),
  after: z.array(z.string()).optional(),
  reasons: z.array(z.string()),
})

export const planNodeShape = z.object({
  id: z.string(),
  kind: z.enum(['environment', 'step', 'champion evaluation']),
  step: z.string(),
  after: z.array(z.string()),
  decision: decisionShape.optional(),
})

export const nodeShape = planNodeShape.extend({
  state: z.enum(['waiting', 'starting', 'running', 'reused', 'succeeded', 'failed', 'skipped', 'cancelled']),
  runId: z.string().optional(),
  attempt: z.number(),
  metrics: z.record(z.string(), z.number()).optional(),
  model: z.object({ name: z.string(), loggedModelId: z.string() }).optional(),
  error: errorShape.optional(),
  startedAt: z.number().optional(),
  endedAt: z.number().optional(),
})

export const executionShape = z.object({
  id: z.string(),
  project: z.string(),
  commit: z.string(),
  trigger: z.looseObject({ kind: z.enum(['push', 'run', 'person', 'drift', 'metric', 'schedule']) }),
  /** Whether a version made by it may be promoted. */
  deployable: z.boolean(),
  only: z.string().optional(),
  /** Parameters that were set for it. */
  set: z.record(z.string(), scalar),
  state: z.enum(['queued', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled']),
  reason: z.string().optional(),
  requestedBy: z.string(),
  createdAt: z.number(),
  startedAt: z.number().optional(),
  endedAt: z.number().optional(),
})

export const executionDetailShape = executionShape.extend({
  subject: z.string(),
  author: z.string(),
  data: z.array(z.object({ dataset: z.string(), path: z.string(), digest: z.string(), size: z.number() })),
  nodes: z.array(nodeShape),
})

export const planShape = z.object({
  project: z.string(),
  commit: z.string(),
  nodes: z.array(planNodeShape),
  lines: z.array(z.string()),
})

const execution = z.object({ id: z.string() })

export const listExecutions = route({
  id: 'executions.list',
  summary: 'Executions, newest first',
  method: 'GET',
  path: '/api/v1/executions',
  access: 'read',
  query: z.object({
    project: z.string().optional(),
    commit: z
      .string()
      .regex(/^[0-9a-f]{4,40}$/)
      .optional(),
    pageToken: z.string().optional(),
    limit: z.coerce.number().int().min(1).max(1000).default(100),
  }),
  output: z.object({ items: z.array(executionShape), nextPageToken: z.string().optional() }),
})

export const getExecution = route({
  id: 'executions.get',
  summary: 'One execution with its steps',
  method: 'GET',
  path: '/api/v1/executions/:id',
  access: 'read',
  params: execution,
  output: executionDetailShape,
  errors: ['NotFound'],
})

export const startExecution = route({
  id: 'executions.start',
  summary:
    'Runs a commit that was pushed here (`modelwright run` pushes the working tree as a snapshot); never deployable',
  method: 'POST',
  path: '/api/v1/projects/:project/executions',
  access: 'member',
  params: z.object({ project: z.string() }),
  body: z.object({
    commit: z.string().regex(/^[0-9a-f]{40}$/),
    only: z.string().optional(),
    set: z.record(z.string(), scalar).default({}),
  }),
  output: z.object({ execution: executionShape, plan: planShape }),
  errors: ['NotFound', 'ConfigInvalid', 'DependencyMissing', 'NotYetSupported'],
})

export const planCommit = route({
  id: 'executions.plan',
  summary: 'What an execution of the commit would do, and why; starts nothing',
  method: 'POST',
  path: '/api/v1/projects/:project/plan',
  access: 'read',
  params: z.object({ project: z.string() }),
  body: z.object({
    commit: z
      .string()
      .regex(/^[0-9a-f]{40}$/)
      .optional(),
    only: z.string().optional(),
    set: z.record(z.string(), scalar).default({}),
  }),
  output: planShape,
  errors: ['NotFound', 'ConfigInvalid', 'DependencyMissing', 'NotYetSupported'],
})

export const cancelExecution = route({
  id: 'executions.cancel',
  summary: 'Ends what runs of an execution; nothing of it goes on',
  method: 'POST',
  path: '/api/v1/executions/:id/cancel',
  access: 'member',
  params: execution,
  output: executionShape,
  errors: ['NotFound', 'Conflict'],
})

export const readLog = route({
  id: 'executions.log',
  summary: "A piece of a step's log from a byte offset on",
  method: 'GET',
  path: '/api/v1/executions/:id/nodes/:node/log',
  access: 'read',
  params: execution.extend({ node: z.string() }),
  query: z.object({
    offset: z.coerce.number().int().min(0).default(0),
    limit: z.coerce.number().int().min(1).max(4_000_000).default(256_000),
  }),
  output: z.object({ text: z.string(), offset: z.number(), ended: z.boolean() }),
  errors: ['NotFound'],
})
