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
  origin: z.enum(['git', 'address', 'part', 'labelled predictions', 'joined', 'unknown']),
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

/** The newest verdict on whether a version can be made again from its record; or what became of asking. */
const reproducedShape = z.object({
  id: z.string(),
  state: z.enum(['running', 'judged', 'failed']),
  outcome: z.enum(['identical', 'equal within tolerance', 'different']).optional(),
  text: z.string().describe('“reproducible: bit for bit, checked 2026-03-01”'),
  sentence: z.string().optional(),
  at: z.int(),
})

const conversionShape = z.object({
  outcome: z
    .enum(['converted', 'refused', 'failed'])
    .describe('refused: that lies in the version; failed: in what is around it, and the next preparation tries again'),
  text: z.string().describe('“ONNX; parity on 120 rows of its input example, …”, or why Python computes it'),
  at: z.int(),
  reason: z.string().optional(),
  proof: z
    .object({
      rows: z.int(),
      rowsFrom: z.string(),
      dataRows: z.int().optional().describe('rows of the data that the version was made of'),
      thresholdRows: z.int(),
      largestDifference: z.number(),
      tolerance: z.number(),
      ties: z.int(),
      versions: z.record(z.string(), z.string()),
    })
    .optional(),
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
  unisolated: z.array(z.string()).optional().describe('steps of its execution that saw the whole checkout'),
  data: z.array(dataShape),
  environment: lockShape,
  verdict: verdictShape.optional(),
  reproduced: reproducedShape.optional(),
  conversion: conversionShape
    .optional()
    .describe('what came of computing it as ONNX, once it was prepared for a deployment'),
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
        reproduced: reproducedShape.optional(),
        conversion: conversionShape.optional(),
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

const thingKind = z.enum([
  ...['commit', 'environment', 'data', 'file', 'execution', 'run'],
  ...['logged model', 'version', 'deployment', 'prediction'],
] as const)

const lineageQuestion = z.object({
  project: z.string(),
  of: z
    .string()
    .max(500)
    .describe(
      'a dataset, a path, a commit, run, execution, model, MODEL@VERSION, environment, digest, or prediction id',
    ),
  direction: z.enum(['up', 'down', 'both']).default('both'),
  depth: z.coerce.number().int().min(1).max(1000).default(6),
})

export const getLineage = route({
  id: 'lineage.get',
  summary: 'What anything came from, and what came of it',
  method: 'GET',
  path: '/api/v1/lineage',
  access: 'read',
  query: lineageQuestion,
  output: z.object({
    project: z.string(),
    of: z.string(),
    direction: z.enum(['up', 'down', 'both']),
    depth: z.int(),
    things: z.array(
      z.object({
        id: z.string(),
        kind: thingKind,
        name: z.string(),
        ref: z.string().describe('digest, commit, or id: what others know it by'),
        at: z.int().optional().describe('of a run: when it ended'),
        startedAt: z.int().optional().describe('of a run'),
        distance: z.int().describe('steps away from what was asked for; negative upstream'),
        asked: z.literal(true).optional(),
      }),
    ),
    lines: z.array(z.object({ from: z.string(), to: z.string() })).describe('from what was taken to what came of it'),
    more: z.boolean().describe('there is more than was walked to'),
    cut: z.boolean().describe('the project has older executions that were not looked at'),
  }),
  errors: ['NotFound'],
})

export const getOpenLineage = route({
  id: 'lineage.openlineage',
  summary: 'The same as OpenLineage RunEvents (2-0-2)',
  method: 'GET',
  path: '/api/v1/lineage/openlineage',
  access: 'read',
  query: lineageQuestion,
  output: z.object({ events: z.array(z.looseObject({})) }),
  errors: ['NotFound'],
})

const rowModel = z.object({ name: z.string(), digest: z.string(), serves: z.array(z.string()) })

export const findRow = route({
  id: 'lineage.row',
  summary: 'Which versions of a dataset hold a row, and which models came of them',
  method: 'GET',
  path: '/api/v1/lineage/rows',
  access: 'read',
  query: z.object({ project: z.string(), dataset: z.string(), key: z.string().max(10_000) }),
  output: z.object({
    project: z.string(),
    dataset: z.string(),
    keyColumn: z.string(),
    key: z.string(),
    share: z
      .number()
      .describe('its fixed place in [0, 1): which rows are held out is decided by it where code does so'),
    looked: z.int().describe('how many versions of the dataset there are'),
    versions: z.array(
      contentShape.omit({ rows: true }).extend({ row: z.int().describe('counted from 1'), models: z.array(rowModel) }),
    ),
    models: z.array(rowModel).describe('of all of them, each once'),
    unread: z
      .array(z.object({ digest: z.string(), reason: z.string() }))
      .describe('versions that could not be searched'),
  }),
  errors: ['NotFound', 'Conflict'],
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
