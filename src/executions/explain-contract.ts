import { z } from 'zod'
import { route } from '../kernel/route.ts'

const scalar = z.union([z.string(), z.number(), z.boolean()])

const originShape = z.object({
  key: z.string(),
  at: z.number(),
  executionId: z.string().optional(),
  commit: z.string().optional(),
})

/** All that a key is made of. Variables are digests or `unset`: their values may be private. */
const partsShape = z.object({
  command: z.string(),
  files: z.array(z.object({ path: z.string(), content: z.string(), executable: z.boolean(), origin: z.string() })),
  params: z.record(z.string(), scalar),
  seed: z.number(),
  environment: z.object({ digest: z.string(), pythonVersion: z.string().optional() }).optional(),
  variables: z.record(z.string(), z.string()),
  checks: z.record(z.string(), z.string()),
  outs: z.array(z.string()),
  model: z.string().optional(),
  metrics: z.union([z.boolean(), z.string()]),
  platform: z.string().optional(),
  sample: z.number().optional(),
  pythonPath: z.array(z.string()).optional(),
  /** Set where the step is not isolated: the commit whose checkout it sees. */
  checkout: z.string().optional(),
  /** Set where it is carried out each time. */
  once: z.string().optional(),
})

export const explanationShape = z.object({
  project: z.string(),
  commit: z.string(),
  step: z.string(),
  outcome: z.enum(['runs', 'reused', 'decided later', 'skipped']),
  key: z.string().optional(),
  reasons: z.array(z.string()),
  /** The result that is reused, or the one that the changes compare with; none the first time. */
  against: originShape.optional(),
  /** Why it ran in `against`, or in the commit's newest execution, which is named then; and since which result. */
  ran: z
    .object({ reasons: z.array(z.string()), since: originShape.optional(), executionId: z.string().optional() })
    .optional(),
  /** The execution that decided it, where no plan can: an item of a list is known once the list is there. */
  decidedIn: z.string().optional(),
  changes: z.array(
    z.object({
      part: z.string(),
      name: z.string().optional(),
      before: z.string().optional(),
      after: z.string().optional(),
      text: z.string(),
    }),
  ),
  parts: partsShape.optional(),
  upstream: z.array(
    z.object({
      id: z.string(),
      outcome: z.enum(['runs', 'reused', 'decided later', 'skipped']),
      reasons: z.array(z.string()),
    }),
  ),
  lines: z.array(z.string()),
})

export const explainStep = route({
  id: 'executions.explain',
  summary:
    'Why a step of a commit would run or be reused: exactly what differs from which earlier result, and what its key is made of',
  method: 'POST',
  path: '/api/v1/projects/:project/explain',
  access: 'read',
  params: z.object({ project: z.string() }),
  body: z.object({
    step: z.string(),
    commit: z
      .string()
      .regex(/^[0-9a-f]{40}$/)
      .optional(),
    /** The execution to compare with, instead of the nearest of the step's newest results. */
    against: z.string().optional(),
    set: z.record(z.string(), scalar).default({}),
  }),
  output: explanationShape,
  errors: ['NotFound', 'ConfigInvalid', 'DependencyMissing', 'NotYetSupported'],
})
