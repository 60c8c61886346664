import { z } from 'zod'
import type { BoundsExpr } from '../../kernel/bound.ts'
import { map, named, section } from './grammar.ts'
import { gateBound, share } from './schema-words.ts'

// `models:` of modelwright.yaml: gates and who promotes.

const bounds: z.ZodType<BoundsExpr> = z.lazy(() =>
  z
    .union([
      gateBound,
      z
        .array(bounds)
        .min(1)
        .transform((all): BoundsExpr => ({ all })),
      map({ any: z.array(bounds).min(1) }),
      map({ all: z.array(bounds).min(1) }),
    ])
    .describe('a bound such as ">= 0.95", a list of bounds that must all hold, or { any: […] }'),
)

const objective = map(
  {
    metric: z.string().min(1).describe('STEP.METRIC, such as evaluate.auc'),
    pass: bounds.optional(),
    warn: bounds.optional(),
    weight: z.number().positive().default(1),
    key: z.boolean().default(false),
  },
  ['slices', 'slice', 'confidence', 'interval', 'replay', 'display_name'],
)

const gate = map(
  {
    objectives: z.array(objective).min(1).describe('a list of objectives'),
    total: map({ pass: share.default(0.9), warn: share.default(0.75) })
      .refine(({ pass, warn }) => warn <= pass, {
        error: 'the gate would warn above what passes: warn must be at most pass',
      })
      .prefault({}),
    first: z.enum(['ask', 'allow']).default('ask'),
  },
  ['slices', 'confidence', 'comparison', 'replay', 'fairness', 'slo'],
)

const promoteRule = z
  .union([
    z.enum(['automatic', 'pull-request']),
    map({ approval: named('a role') }, ['approvals', 'by']).describe('{ approval: ROLE }'),
  ])
  .describe('automatic, pull-request or { approval: ROLE }')

export const model = map({ gate: gate.optional(), promote: section(promoteRule) }, [
  ...['card', 'signature', 'convert', 'fairness', 'owner', 'batch'],
])
