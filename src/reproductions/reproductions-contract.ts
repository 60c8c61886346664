import { z } from 'zod'
import { route } from '../kernel/route.ts'
import { passRoles, randomSources, reproductionOutcomes } from './reproduction.ts'

const scalar = z.union([z.string(), z.number(), z.boolean()])
const metricValue = z.union([z.number(), z.literal('NaN')])
const sides = { was: z.string().optional(), is: z.string().optional() }

export const causeShape = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('input'), path: z.string(), ...sides }),
  z.object({ kind: z.literal('package'), name: z.string(), ...sides }),
  z.object({ kind: z.literal('parameter'), name: z.string(), was: scalar.optional(), is: scalar.optional() }),
  z.object({ kind: z.literal('variable'), name: z.string() }),
  z.object({ kind: z.literal('seed'), was: z.number(), is: z.number() }),
  z.object({ kind: z.literal('command'), was: z.string(), is: z.string() }),
  z.object({ kind: z.literal('random source'), source: z.enum(randomSources) }),
  z.object({ kind: z.literal('machine') }),
  z.object({ kind: z.literal('step'), text: z.string() }),
  z.object({ kind: z.literal('not found'), text: z.string() }),
])

const changedFile = z.object({ path: z.string(), change: z.enum(['added', 'changed', 'removed']) })

const predictionsShape = z.union([
  z.object({ compared: z.literal(true), rows: z.int(), equal: z.boolean(), largest: z.number().optional() }),
  z.object({ compared: z.literal(false), reason: z.string() }),
])

export const comparisonShape = z.object({
  outcome: z.enum(reproductionOutcomes),
  steps: z.array(
    z.object({
      step: z.string(),
      outcome: z.enum(reproductionOutcomes),
      files: z.array(changedFile),
      metrics: z.array(
        z.object({
          name: z.string(),
          was: metricValue.optional(),
          is: metricValue.optional(),
          within: z.boolean().describe('the tolerance'),
        }),
      ),
      model: z
        .object({
          name: z.string(),
          same: z.boolean(),
          files: z.array(changedFile),
          predictions: predictionsShape.optional(),
        })
        .optional(),
    }),
  ),
  first: z
    .object({ step: z.string(), causes: z.array(causeShape) })
    .optional()
    .describe('the first step, in the order of the pipeline, whose result is another one, and why'),
  compared: z.object({
    steps: z.int(),
    files: z.int(),
    metrics: z.int(),
    models: z.int(),
    tolerance: z.number(),
  }),
})

export const reproductionShape = z.object({
  id: z.string(),
  project: z.string(),
  model: z.string(),
  version: z.int(),
  digest: z.string(),
  recorded: z.string().describe('the execution that made the version'),
  commit: z.string(),
  fromRecord: z.boolean().describe("false: another commit's files, data, lock and parameters were tried"),
  runs: z.int(),
  tolerance: z.number(),
  state: z.enum(['running', 'judged', 'failed']),
  passes: z
    .partialRecord(z.enum(passRoles), z.string())
    .describe('what each execution that was carried out for it was for'),
  comparison: comparisonShape.optional(),
  sentence: z.string().optional(),
  error: z.object({ code: z.string(), message: z.string(), next: z.string() }).optional(),
  requestedBy: z.string(),
  createdAt: z.int(),
  endedAt: z.int().optional(),
})

const ofVersion = z.object({ digest: z.string().regex(/^sha256:[0-9a-f]{64}$/) })

export const requestReproduction = route({
  id: 'reproductions.request',
  summary: 'Makes a model version again from its record, with the cache off, and compares step by step',
  method: 'POST',
  path: '/api/v1/versions/:digest/reproductions',
  access: 'member',
  params: ofVersion,
  body: z.object({
    runs: z.union([z.literal(1), z.literal(2)]).default(1),
    tolerance: z.number().min(0).max(1).default(0),
    commit: z
      .string()
      .regex(/^[0-9a-f]{40}$/)
      .optional()
      .describe("instead of the version's own: what would that commit make?"),
  }),
  output: reproductionShape,
  errors: ['NotFound', 'Conflict'],
})

export const getReproduction = route({
  id: 'reproductions.get',
  summary: 'One reproduction with its verdict',
  method: 'GET',
  path: '/api/v1/reproductions/:id',
  access: 'read',
  params: z.object({ id: z.string() }),
  output: reproductionShape,
  errors: ['NotFound'],
})

export const listReproductions = route({
  id: 'reproductions.list',
  summary: 'Reproductions of a project, newest first',
  method: 'GET',
  path: '/api/v1/projects/:project/reproductions',
  access: 'read',
  params: z.object({ project: z.string() }),
  query: z.object({
    digest: z.string().optional(),
    limit: z.coerce.number().int().min(1).max(1000).default(100),
    pageToken: z.string().max(200).optional(),
  }),
  output: z.object({ items: z.array(reproductionShape), nextPageToken: z.string().optional() }),
})
