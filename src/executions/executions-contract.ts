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
  outcome: z.enum(['runs', 'reused', 'decided later', 'skipped']),
  key: z.string().optional(),
  after: z.array(z.string()).optional(),
  reasons: z.array(z.string()),
})

export const planNodeShape = z.object({
  id: z.string(),
  /** `fan-out`: one step for each item of a list; `matrix`: many nodes shown as one, only where they are folded. */
  kind: z.enum(['environment', 'data', 'step', 'champion evaluation', 'fan-out', 'matrix']),
  step: z.string(),
  after: z.array(z.string()),
  decision: decisionShape.optional(),
})

const nodeStates = [
  ...(['waiting', 'starting', 'running', 'reused'] as const),
  ...(['succeeded', 'failed', 'skipped', 'cancelled'] as const),
] as const

export const nodeShape = planNodeShape.extend({
  state: z.enum(nodeStates),
  /** The item of the list that it was made for. */
  item: z.union([scalar, z.record(z.string(), scalar)]).optional(),
  /** Set where it stands for many: how many, and how many of them in which state. */
  group: z.object({ of: z.number(), states: z.partialRecord(z.enum(nodeStates), z.number()) }).optional(),
  /** A further attempt waits until then. */
  notBefore: z.number().optional(),
  /** Why its last attempt ended badly. */
  failure: z.enum(['error', 'timeout', 'memory', 'lost']).optional(),
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
  trigger: z.looseObject({ kind: z.enum(['push', 'run', 'person', 'drift', 'metric', 'schedule', 'reproduction']) }),
  /** Whether a version made by it may be promoted. */
  deployable: z.boolean(),
  only: z.string().optional(),
  /** Parameters that were set for it. */
  set: z.record(z.string(), scalar),
  state: z.enum(['queued', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled']),
  reason: z.string().optional(),
  requestedBy: z.string(),
  /** The execution whose unfinished part it carries out. */
  resumes: z.string().optional(),
  /** The share of the data that it looks at. */
  sample: z.number().optional(),
  /** Steps that it carries out although a result of theirs is kept. */
  fresh: z.union([z.literal('all'), z.array(z.string())]).optional(),
  createdAt: z.number(),
  startedAt: z.number().optional(),
  endedAt: z.number().optional(),
})

export const executionDetailShape = executionShape.extend({
  subject: z.string(),
  author: z.string(),
  data: z.array(
    z.object({
      dataset: z.string(),
      path: z.string(),
      digest: z.string(),
      size: z.number(),
      /** Where it was fetched from; absent: from the commit. */
      address: z.string().optional(),
    }),
  ),
  nodes: z.array(nodeShape),
})

export const planShape = z.object({
  project: z.string(),
  commit: z.string(),
  nodes: z.array(planNodeShape),
  lines: z.array(z.string()),
})

const execution = z.object({ id: z.string() })

/** What may be asked of a run or of its plan. */
const asked = {
  only: z.string().optional(),
  set: z.record(z.string(), scalar).default({}),
  /** Steps that run although nothing changed; a name covers all that a matrix or a list makes of it. */
  fresh: z.union([z.literal('all'), z.array(z.string()).max(1000)]).optional(),
  sample: z.number().gt(0).max(1).optional(),
}

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
  /** `folded`: a matrix or a list of more than 20 as one node, with those of its nodes that failed or run. */
  query: z.object({ nodes: z.enum(['all', 'folded']).default('all') }),
  output: executionDetailShape,
  errors: ['NotFound'],
})

export const listNodes = route({
  id: 'executions.nodes',
  summary: "An execution's steps, page by page; of one matrix or list, or in one state",
  method: 'GET',
  path: '/api/v1/executions/:id/nodes',
  access: 'read',
  params: execution,
  query: z.object({
    group: z.string().optional(),
    /** One node by its name. */
    node: z.string().optional(),
    state: z.enum(nodeStates).optional(),
    pageToken: z.coerce.number().int().min(0).optional(),
    limit: z.coerce.number().int().min(1).max(1000).default(100),
  }),
  output: z.object({ items: z.array(nodeShape), nextPageToken: z.string().optional() }),
  errors: ['NotFound'],
})

export const resumeExecution = route({
  id: 'executions.resume',
  summary:
    'Carries out what a failed or cancelled execution left undone, with the same commit, parameters and inputs; what ended well is reused',
  method: 'POST',
  path: '/api/v1/executions/:id/resume',
  access: 'member',
  params: execution,
  output: executionShape,
  errors: ['NotFound', 'Conflict'],
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
    ...asked,
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
    ...asked,
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

const attempt = z.coerce.number().int().min(1).optional()

export const readLog = route({
  id: 'executions.log',
  summary: "A piece of a step's log from a byte offset on, or its last lines; of the last attempt where none is named",
  method: 'GET',
  path: '/api/v1/executions/:id/nodes/:node/log',
  access: 'read',
  params: execution.extend({ node: z.string() }),
  query: z.object({
    offset: z.coerce.number().int().min(0).default(0),
    limit: z.coerce.number().int().min(1).max(4_000_000).default(256_000),
    tail: z.coerce.number().int().min(1).max(100_000).optional(),
    attempt,
  }),
  output: z.object({ text: z.string(), offset: z.number(), ended: z.boolean() }),
  errors: ['NotFound'],
})

export const searchLog = route({
  id: 'executions.log.search',
  summary: "Lines of a step's log that hold a text; `next` is the offset to ask on from",
  method: 'GET',
  path: '/api/v1/executions/:id/nodes/:node/log/search',
  access: 'read',
  params: execution.extend({ node: z.string() }),
  query: z.object({
    text: z.string().min(1).max(1000),
    offset: z.coerce.number().int().min(0).default(0),
    limit: z.coerce.number().int().min(1).max(1000).default(100),
    attempt,
  }),
  output: z.object({
    items: z.array(z.object({ offset: z.number(), line: z.string() })),
    next: z.number().optional(),
  }),
  errors: ['NotFound'],
})
