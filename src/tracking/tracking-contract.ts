import { z } from 'zod'
import { route } from '../kernel/route.ts'

/** NaN has no JSON form: it comes as a text. */
const metricValue = z.union([z.number(), z.literal('NaN')])
const page = {
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  pageToken: z.string().optional(),
}

const experimentShape = z.object({
  id: z.string(),
  name: z.string(),
  createdAt: z.number(),
  updatedAt: z.number(),
  tags: z.record(z.string(), z.string()),
})

const metricPointShape = z.object({ value: metricValue, step: z.number(), timestamp: z.number() })

const runShape = z.object({
  id: z.string(),
  experimentId: z.string(),
  name: z.string(),
  status: z.enum(['RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED']),
  user: z.string(),
  startedAt: z.number(),
  endedAt: z.number().optional(),
  deleted: z.boolean(),
  parentRunId: z.string().optional(),
  params: z.record(z.string(), z.string()),
  tags: z.record(z.string(), z.string()),
  /** The latest point of each metric. */
  metrics: z.record(z.string(), metricPointShape),
})

const loggedModelShape = z.object({
  id: z.string(),
  name: z.string(),
  status: z.enum(['PENDING', 'READY', 'FAILED']),
  modelType: z.string().optional(),
  createdAt: z.number(),
  params: z.record(z.string(), z.string()),
  tags: z.record(z.string(), z.string()),
})

const runDetailShape = runShape.extend({
  datasets: z.array(
    z.object({ name: z.string(), digest: z.string(), sourceType: z.string(), context: z.string().optional() }),
  ),
  loggedModels: z.array(loggedModelShape),
})

export const listExperiments = route({
  id: 'experiments.list',
  summary: 'Experiments, newest first',
  method: 'GET',
  path: '/api/v1/experiments',
  access: 'read',
  query: z.object(page),
  output: z.object({ items: z.array(experimentShape), nextPageToken: z.string().optional() }),
})

export const listRuns = route({
  id: 'runs.list',
  summary: "Runs of an experiment, newest first; the filter is in MLflow's grammar",
  method: 'GET',
  path: '/api/v1/runs',
  access: 'read',
  query: z.object({
    /** A name or an id; all experiments where it is left out. */
    experiment: z.string().optional(),
    filter: z.string().optional(),
    /** One term as in MLflow: `metrics.auc DESC`. */
    orderBy: z.string().optional(),
    ...page,
  }),
  output: z.object({ items: z.array(runShape), nextPageToken: z.string().optional() }),
  errors: ['NotFound', 'BadRequest'],
})

export const getRun = route({
  id: 'runs.get',
  summary: 'One run with its params, metrics, tags, datasets and logged models',
  method: 'GET',
  path: '/api/v1/runs/:id',
  access: 'read',
  params: z.object({ id: z.string() }),
  output: runDetailShape,
  errors: ['NotFound'],
})

export const getMetricHistory = route({
  id: 'runs.metrics.history',
  summary: 'The points of a metric, in order of step',
  method: 'GET',
  path: '/api/v1/runs/:id/metrics/:key',
  access: 'read',
  params: z.object({ id: z.string(), key: z.string() }),
  query: z.object(page),
  output: z.object({ items: z.array(metricPointShape), nextPageToken: z.string().optional() }),
  errors: ['NotFound'],
})
