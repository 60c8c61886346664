import { z } from 'zod'
import { executionShape, nodeShape } from '../executions/executions-contract.ts'
import { verdictShape } from '../gates/gates-contract.ts'
import { route } from '../kernel/route.ts'
import { alertShape } from '../monitoring/monitoring-contract.ts'
import { projectShape } from '../projects/projects-contract.ts'
import { promotionShape } from '../promotions/promotions-contract.ts'
import { deploymentShape, rolloutShape } from '../rollouts/rollouts-contract.ts'
import { getPrediction } from '../serving/predictions-contract.ts'

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()])

/** NaN has no JSON form: it comes as a text. */
const metricValue = z.union([z.number(), z.literal('NaN')])

const commitShape = z.object({ id: z.string(), author: z.string(), subject: z.string(), at: z.int() })

const contentShape = z.object({
  digest: z.string(),
  rows: z.int().optional(),
  origin: z.enum(['git', 'labelled predictions', 'joined', 'unknown']),
  text: z.string().describe('where it came from, in words'),
  firstSeenAt: z.int().optional(),
})

const dataShape = contentShape.extend({
  dataset: z.string(),
  parts: z.array(contentShape).describe('of joined data: what it was made of'),
})

const runShape = z.object({
  id: z.string(),
  name: z.string(),
  status: z.string(),
  startedAt: z.int(),
  endedAt: z.int().optional(),
  params: z.record(z.string(), z.string()),
  metrics: z.record(z.string(), metricValue),
})

const lockShape = z.object({
  digest: z.string().describe('of the lock, or "none"'),
  python: z.string().optional(),
  packages: z.int().optional(),
})

/** Where a model version comes from, from its manifest on. */
const versionStoryShape = z.object({
  project: z.string(),
  model: z.string(),
  version: z.int().optional(),
  digest: z.string(),
  createdAt: z.int(),
  modelTree: z.string(),
  contentDigest: z.string(),
  seed: z.int(),
  params: z.record(z.string(), z.record(z.string(), scalar)).describe('by step'),
  run: runShape.optional(),
  execution: executionShape.optional(),
  commit: commitShape.optional(),
  data: z.array(dataShape),
  environment: lockShape,
  verdict: verdictShape.optional(),
})

const declaredShape = z.object({
  commit: z.string(),
  actor: z.string(),
  origin: z.enum(['push', 'modelwright']),
  at: z.int(),
})

const placeStoryShape = z.object({
  promotion: promotionShape.optional().describe('how it came into the environment’s declared state'),
  declared: declaredShape.optional().describe('since when Git declares it, and by whom'),
  rollout: rolloutShape.optional().describe('how it came to serve'),
})

const ofProject = z.object({ project: z.string() })

export const whyEnvironment = route({
  id: 'why.environment',
  summary: 'What serves in an environment, and why: model, run, commit, data, environment, verdict, approval, rollout',
  method: 'GET',
  path: '/api/v1/projects/:project/environments/:environment/why',
  access: 'read',
  params: ofProject.extend({ environment: z.string() }),
  output: placeStoryShape.extend({
    project: z.string(),
    environment: z.string(),
    sentence: z.string(),
    deployment: deploymentShape,
    version: versionStoryShape.optional().describe('of what serves, or where nothing does of what is declared'),
  }),
  errors: ['NotFound'],
})

export const whyPrediction = route({
  id: 'why.prediction',
  summary: 'Which version answered a prediction, and where that comes from; works from the id alone',
  method: 'GET',
  path: '/api/v1/why/predictions/:id',
  access: 'read',
  params: z.object({ id: z.string() }),
  output: placeStoryShape.extend({
    id: z.string(),
    sentence: z.string(),
    decoded: getPrediction.output.shape.decoded,
    record: getPrediction.output.shape.record,
    project: z.string().optional(),
    environment: z.string().optional().describe('none where the record is gone and the version served in several'),
    version: versionStoryShape.optional(),
  }),
  errors: ['NotFound'],
})

export const whyVersion = route({
  id: 'why.version',
  summary: 'Where a model version comes from, by the digest that names it',
  method: 'GET',
  path: '/api/v1/why/versions/:digest',
  access: 'read',
  params: z.object({ digest: z.string() }),
  output: versionStoryShape,
  errors: ['NotFound'],
})

const scheduledShape = z.object({ environment: z.string(), what: z.string(), at: z.int() })

export const getOverview = route({
  id: 'overview.get',
  summary: "A project's loop at a glance: the latest commit, verdict, what serves where, what is wrong, what is next",
  method: 'GET',
  path: '/api/v1/projects/:project/overview',
  access: 'read',
  params: ofProject,
  output: z.object({
    project: projectShape,
    commit: commitShape.optional(),
    execution: executionShape.extend({ nodes: z.array(nodeShape) }).optional(),
    verdict: verdictShape.optional(),
    deployments: z.array(deploymentShape),
    promotions: z.array(promotionShape).describe('those that wait for a person'),
    alerts: z.array(alertShape).describe('open ones'),
    scheduled: z.array(scheduledShape).describe('what starts by itself, soonest first'),
    next: z.object({
      sentence: z.string(),
      who: z.enum(['you', 'modelwright', 'nobody']).describe('who is waited for'),
      command: z.string().optional(),
    }),
  }),
  errors: ['NotFound'],
})

export const listVersions = route({
  id: 'versions.list',
  summary: "A project's judged model versions, newest first, with verdict and where they serve",
  method: 'GET',
  path: '/api/v1/projects/:project/versions',
  access: 'read',
  params: ofProject,
  query: z.object({
    model: z.string().optional(),
    limit: z.coerce.number().int().min(1).max(1000).default(100),
    pageToken: z.string().max(200).optional(),
  }),
  output: z.object({
    items: z.array(
      z.object({
        model: z.string(),
        version: z.int(),
        digest: z.string(),
        executionId: z.string(),
        verdictId: z.string(),
        verdict: z.enum(['pass', 'warn', 'fail', 'inconclusive']),
        createdAt: z.int(),
        serves: z.array(z.object({ environment: z.string(), weight: z.number() })),
        declared: z.array(z.string()).describe('environments whose Git state names it'),
        barred: z.array(z.object({ environment: z.string(), reason: z.string() })),
      }),
    ),
    nextPageToken: z.string().optional(),
  }),
  errors: ['NotFound'],
})

const sideShape = z.object({
  kind: z.enum(['run', 'execution']),
  id: z.string(),
  name: z.string(),
  project: z.string().optional(),
  executionId: z.string().optional(),
  state: z.string(),
  at: z.int(),
  commit: commitShape.optional(),
})

const changed = <T extends z.ZodType>(value: T) =>
  z.object({ name: z.string(), a: value.optional(), b: value.optional() })

export const diffRuns = route({
  id: 'runs.diff',
  summary: 'What differs between two runs, or two executions: parameters, metrics, tags, environment, data, code',
  method: 'GET',
  path: '/api/v1/diff',
  access: 'read',
  query: z.object({ a: z.string(), b: z.string() }),
  output: z.object({
    a: sideShape,
    b: sideShape,
    params: z.array(changed(z.string())).describe('those that differ'),
    metrics: z.array(
      z.object({
        name: z.string(),
        a: metricValue.optional(),
        b: metricValue.optional(),
        difference: z.number().optional().describe('b − a'),
      }),
    ),
    tags: z
      .array(changed(z.string()))
      .describe('those that differ and that Modelwright and MLflow do not keep themselves'),
    environment: z.object({
      a: lockShape.optional(),
      b: lockShape.optional(),
      packages: z.array(changed(z.string())).describe('those whose version differs'),
    }),
    data: z.array(changed(dataShape)).describe('those whose content differs'),
    code: z.object({
      onlyA: z.array(commitShape).describe('commits that A has and B has not, newest first, at most 50'),
      onlyB: z.array(commitShape),
      files: z.array(z.object({ path: z.string(), change: z.enum(['added', 'changed', 'removed']) })),
    }),
    same: z.object({ params: z.int(), metrics: z.int(), data: z.int() }).describe('how many are equal'),
  }),
  errors: ['NotFound'],
})

export const getHealth = route({
  id: 'health.get',
  summary: 'What the server knows of its own health: the clock, parked events, the audit chain',
  method: 'GET',
  path: '/api/v1/doctor',
  access: 'member',
  output: z.object({
    now: z.int(),
    parkedEvents: z.array(z.object({ consumer: z.string(), eventId: z.int(), error: z.string(), at: z.int() })),
    audit: z.object({
      entries: z.int(),
      brokenAt: z.int().optional().describe('id of the first entry that does not fit'),
    }),
    openExecutions: z.int(),
  }),
})
