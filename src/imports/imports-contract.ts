import { z } from 'zod'
import { route } from '../kernel/route.ts'

const text = z.string()
const time = z.int()
const pairs = z.array(z.object({ key: text, value: text }))
const lifecycle = z.enum(['active', 'deleted'])

/** What JSON cannot write comes as a text. */
const value = z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity'])])

/** `artifacts` says whether the bytes were (or will be) copied to us, or stay at `artifactUri`. */
const stored = { artifactUri: text, artifacts: z.enum(['copied', 'there']) }

const experimentRecord = z.object({
  kind: z.literal('experiment'),
  id: text,
  name: text,
  lifecycle,
  createdAt: time,
  updatedAt: time,
  artifactUri: text.describe('kept only where artifacts are not copied'),
  tags: pairs,
})

const runRecord = z.object({
  kind: z.literal('run'),
  id: text,
  experiment: text,
  name: text,
  status: z.enum(['RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED']),
  user: text,
  startedAt: time,
  endedAt: time.optional(),
  lifecycle,
  deletedAt: time.optional(),
  ...stored,
  params: pairs,
  tags: pairs,
  datasets: z.array(
    z.object({
      name: text,
      digest: text,
      sourceType: text,
      source: text,
      schema: text.optional(),
      profile: text.optional(),
      tags: pairs,
    }),
  ),
  modelInputs: z.array(text),
  modelOutputs: z.array(z.object({ model: text, step: z.int() })),
})

/** Points of one metric of a run, as columns: many at once are read and checked fast. */
const pointsRecord = z.object({
  kind: z.literal('points'),
  run: text,
  key: text,
  timestamps: z.array(z.int()),
  steps: z.array(z.int()),
  values: z.array(value),
})

const loggedModelRecord = z.object({
  kind: z.literal('logged-model'),
  id: text,
  experiment: text,
  name: text,
  status: z.enum(['PENDING', 'READY', 'FAILED']),
  statusMessage: text.optional(),
  modelType: text.optional(),
  run: text.optional(),
  createdAt: time,
  updatedAt: time,
  lifecycle,
  ...stored,
  params: pairs,
  tags: pairs,
  metrics: z.array(
    z.object({
      run: text,
      key: text,
      value,
      timestamp: z.int(),
      step: z.int(),
      datasetName: text.optional(),
      datasetDigest: text.optional(),
    }),
  ),
})

const registeredModelRecord = z.object({
  kind: z.literal('registered-model'),
  name: text,
  description: text.optional(),
  createdAt: time,
  updatedAt: time,
  tags: pairs,
  nextVersion: z.int().min(1).describe('greater than every number that was ever given'),
})

const modelVersionRecord = z.object({
  kind: z.literal('model-version'),
  model: text,
  version: z.int().min(1),
  createdAt: time,
  updatedAt: time,
  description: text.optional(),
  user: text.optional(),
  stage: z.enum(['None', 'Staging', 'Production', 'Archived']),
  source: text,
  storageLocation: text.optional(),
  run: text.optional(),
  runLink: text.optional(),
  status: text,
  statusMessage: text.optional(),
  loggedModel: text.optional(),
  tags: pairs,
  aliases: z.array(text),
})

const record = z.discriminatedUnion('kind', [
  experimentRecord,
  runRecord,
  pointsRecord,
  loggedModelRecord,
  registeredModelRecord,
  modelVersionRecord,
])

export type ExperimentRecord = z.output<typeof experimentRecord>
export type RunRecord = z.output<typeof runRecord>
export type PointsRecord = z.output<typeof pointsRecord>
export type LoggedModelRecord = z.output<typeof loggedModelRecord>
export type RegisteredModelRecord = z.output<typeof registeredModelRecord>
export type ModelVersionRecord = z.output<typeof modelVersionRecord>
export type ImportRecord = z.output<typeof record>
export type MetricValue = z.output<typeof value>

/** What has an id of its own and can be compared; points belong to their run. */
export const itemKinds = ['experiment', 'run', 'logged-model', 'registered-model', 'model-version'] as const
const itemKind = z.enum(itemKinds)
export type ItemKind = z.output<typeof itemKind>

const facts = z.record(z.string(), z.union([z.string(), z.number()]))
export type Facts = z.output<typeof facts>

const importShape = z.object({
  id: text,
  source: text,
  artifacts: z.enum(['copy', 'reference']),
  state: z.enum(['running', 'finished']),
  actor: text,
  startedAt: time,
  updatedAt: time,
  /** Whole in our tables, by kind. */
  done: z.partialRecord(itemKind, z.int()),
})

const ofImport = z.object({ id: text })

export const beginImport = route({
  id: 'imports.begin',
  summary: 'Begins the import of a source, or carries on the one that there is',
  method: 'POST',
  path: '/api/v1/imports',
  access: 'owner',
  body: z.object({
    source: text.min(1).max(2000).describe('names the source for good, without credentials'),
    artifacts: z.enum(['copy', 'reference']),
    restart: z.boolean().default(false).describe('look at everything anew; what is here stays'),
  }),
  output: importShape,
  errors: ['BadRequest', 'Conflict'],
})

export const listImports = route({
  id: 'imports.list',
  summary: 'Imports, the newest first, at most 1,000',
  method: 'GET',
  path: '/api/v1/imports',
  access: 'member',
  output: z.object({ items: z.array(importShape) }),
})

export const whatIsLeft = route({
  id: 'imports.left',
  summary: 'Which of these items are not whole here yet',
  method: 'POST',
  path: '/api/v1/imports/:id/left',
  access: 'owner',
  params: ofImport,
  body: z.object({ kind: itemKind, ids: z.array(text).max(1000) }),
  output: z.object({ ids: z.array(text) }),
  errors: ['NotFound'],
})

export const takeBatch = route({
  id: 'imports.batch',
  summary: 'Takes records with their own ids and times, in order; the same batch again changes nothing',
  method: 'POST',
  path: '/api/v1/imports/:id/batches',
  access: 'owner',
  params: ofImport,
  body: z.object({
    records: z.array(record).max(50_000),
    done: z
      .array(z.object({ kind: itemKind, id: text, facts }))
      .max(50_000)
      .default([])
      .describe('items that are whole here now, artifacts too, with what the source says of each'),
    finished: z.boolean().default(false),
  }),
  output: z.object({
    taken: z.int().describe('records that changed something or were here already'),
    refused: z.array(
      z.object({ index: z.int(), kind: z.string(), name: z.string(), reason: z.string(), next: z.string() }),
    ),
    placed: z
      .array(z.object({ kind: itemKind, id: text, target: text, joined: z.boolean(), artifactUri: text.optional() }))
      .describe('where each record came to lie; `artifactUri` is where its artifacts are to be copied to'),
  }),
  errors: ['NotFound', 'BadRequest'],
})

export const compareItems = route({
  id: 'imports.compare',
  summary: 'Compares what the source said of items with what is here',
  method: 'POST',
  path: '/api/v1/imports/:id/comparison',
  access: 'owner',
  params: ofImport,
  body: z.object({ kind: itemKind, ids: z.array(text).max(1000) }),
  output: z.object({
    here: z.int(),
    /** Sums over the items of the facts that are numbers. */
    source: z.record(z.string(), z.number()),
    ours: z.record(z.string(), z.number()),
    differences: z.array(z.object({ id: text, what: text, source: text, ours: text })),
  }),
  errors: ['NotFound'],
})
