import { z } from 'zod'
import { route } from '../kernel/route.ts'

const test = z.object({ statistic: z.number(), pValue: z.number() })
const sideSummary = z.object({
  count: z.int(),
  mean: z.number().nullable(),
  std: z.number().nullable(),
  min: z.number().nullable(),
  max: z.number().nullable(),
})

const featureShape = z.object({
  feature: z.string(),
  kind: z.enum(['numeric', 'categorical']),
  outcome: z.enum(['drift', 'no drift', 'too few rows']),
  reasons: z.array(z.string()),
  psi: z.number().nullable(),
  psiPValue: z.number().optional(),
  ks: test.optional(),
  chi2: test.optional(),
  jensenShannon: z.number().nullable(),
  missing: z.object({ reference: z.number(), current: z.number(), pValue: z.number() }),
  newCategories: z.array(z.string()),
  newCategoryShare: z.number(),
  n: z.int(),
  present: z.int(),
  chart: z
    .union([
      z.object({
        kind: z.literal('numeric'),
        edges: z.array(z.number()),
        reference: z.array(z.number()),
        current: z.array(z.number()),
      }),
      z.object({
        kind: z.literal('categorical'),
        categories: z.array(z.string()),
        reference: z.array(z.number()),
        current: z.array(z.number()),
      }),
    ])
    .describe('shares per cell: between the edges (the outer two cells are open), or per category'),
  summary: z.object({ reference: sideSummary, current: sideSummary }),
})

const metric = z.object({
  value: z.number(),
  n: z.int(),
  interval: z.object({ low: z.number(), high: z.number() }).optional().describe('95 % (Wilson), of a share'),
})

const qualityShape = z.object({
  n: z.int(),
  metrics: z.record(z.string(), metric),
  delayMs: z.object({ median: z.int(), max: z.int() }),
  reasons: z.array(z.string()),
})

const reportParts = {
  id: z.string(),
  version: z.int(),
  digest: z.string(),
  at: z.int(),
  outcome: z.enum(['drift', 'no drift', 'too few rows', 'no reference']),
  reasons: z.array(z.string()),
  ruleVersion: z.string(),
  inputsDigest: z.string(),
  window: z.object({
    fromMs: z.int(),
    toMs: z.int(),
    rows: z.int(),
    answered: z.int(),
    inputFailures: z.int(),
    inputFailureShare: z.number(),
    errors: z.int(),
  }),
  labels: z.int(),
  quality: qualityShape.optional(),
}

const reportShape = z.object({ ...reportParts, features: z.array(featureShape) })

export const alertShape = z.object({
  id: z.string(),
  project: z.string(),
  environment: z.string(),
  model: z.string(),
  version: z.int(),
  digest: z.string(),
  kind: z.enum(['drift', 'quality']),
  subject: z.string().describe('of quality: the broken bound, as the file says it'),
  features: z.array(z.string()),
  reasons: z.array(z.string()),
  openedAt: z.int(),
  updatedAt: z.int(),
  closedAt: z.int().optional(),
  closedBecause: z.string().optional(),
})

export const getMonitoring = route({
  id: 'monitoring.get',
  summary:
    'Each serving environment: the latest look, its features (drifting ones first, then by PSI), open alerts, quality',
  method: 'GET',
  path: '/api/v1/projects/:project/monitoring',
  access: 'read',
  params: z.object({ project: z.string() }),
  output: z.object({
    environments: z.array(
      z.object({
        environment: z.string(),
        model: z.string(),
        version: z.int(),
        digest: z.string(),
        bounds: z.array(z.object({ statistic: z.string(), comparator: z.string(), bound: z.number() })),
        report: reportShape.optional().describe('of the version that serves; none before its first answer'),
        alerts: z.array(alertShape),
      }),
    ),
  }),
  errors: ['NotFound'],
})

export const listReports = route({
  id: 'monitoring.reports',
  summary: 'Earlier looks at an environment, newest first; of each feature only the numbers',
  method: 'GET',
  path: '/api/v1/projects/:project/monitoring/:environment/reports',
  access: 'read',
  params: z.object({ project: z.string(), environment: z.string() }),
  query: z.object({
    limit: z.coerce.number().int().min(1).max(1000).default(100),
    pageToken: z.string().max(200).optional(),
  }),
  output: z.object({
    items: z.array(
      z.object({
        ...reportParts,
        features: z.array(featureShape.pick({ feature: true, kind: true, outcome: true, psi: true, n: true })),
      }),
    ),
    nextPageToken: z.string().optional(),
  }),
  errors: ['NotFound'],
})

export const listAlerts = route({
  id: 'alerts.list',
  summary: 'Alerts, newest first',
  method: 'GET',
  path: '/api/v1/alerts',
  access: 'read',
  query: z.object({
    project: z.string().optional(),
    state: z.enum(['open', 'closed', 'all']).default('all'),
    limit: z.coerce.number().int().min(1).max(1000).default(100),
    pageToken: z.string().max(200).optional(),
  }),
  output: z.object({ items: z.array(alertShape), nextPageToken: z.string().optional() }),
})
