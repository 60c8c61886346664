import { z } from 'zod'
import { route } from '../kernel/route.ts'

const aliasShape = z.object({ alias: z.string(), version: z.number(), ownedByGit: z.boolean() })

const versionShape = z.object({
  model: z.string(),
  version: z.number(),
  createdAt: z.number(),
  updatedAt: z.number(),
  description: z.string().optional(),
  /** `client`: registered by user code, so not deployable unless judged. */
  origin: z.enum(['modelwright', 'client']),
  project: z.string().optional(),
  runId: z.string().optional(),
  loggedModelId: z.string().optional(),
  executionId: z.string().optional(),
  verdictId: z.string().optional(),
  contentDigest: z.string().optional(),
  manifestDigest: z.string().optional(),
  source: z.string(),
  storageLocation: z.string(),
  aliases: z.array(z.string()),
  tags: z.record(z.string(), z.string()),
})

const modelShape = z.object({
  name: z.string(),
  description: z.string().optional(),
  createdAt: z.number(),
  updatedAt: z.number(),
  tags: z.record(z.string(), z.string()),
  aliases: z.array(aliasShape),
  newestVersion: z.number().optional(),
})

export const listModels = route({
  id: 'models.list',
  summary: 'Registered models, by name',
  method: 'GET',
  path: '/api/v1/models',
  access: 'read',
  query: z.object({
    filter: z.string().optional(),
    limit: z.coerce.number().int().min(1).max(1000).default(100),
    pageToken: z.string().optional(),
  }),
  output: z.object({ items: z.array(modelShape), nextPageToken: z.string().optional() }),
})

export const getModel = route({
  id: 'models.get',
  summary: 'A registered model with its versions, newest first',
  method: 'GET',
  path: '/api/v1/models/:model',
  access: 'read',
  params: z.object({ model: z.string() }),
  output: modelShape.extend({ versions: z.array(versionShape) }),
  errors: ['NotFound'],
})

export const getModelVersion = route({
  id: 'models.versions.get',
  summary: 'One version of a model with its provenance',
  method: 'GET',
  path: '/api/v1/models/:model/versions/:version',
  access: 'read',
  params: z.object({ model: z.string(), version: z.coerce.number().int() }),
  output: versionShape,
  errors: ['NotFound'],
})
