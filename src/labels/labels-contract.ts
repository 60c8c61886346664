import { z } from 'zod'
import { route } from '../kernel/route.ts'

const ofProject = z.object({ project: z.string() })
const value = z.union([z.string().max(10_000), z.number(), z.boolean()])

export const receiveLabels = route({
  id: 'labels.receive',
  summary: 'Takes the truth about answered predictions, by prediction id. The same label again changes nothing.',
  method: 'POST',
  path: '/api/v1/projects/:project/labels',
  access: 'member',
  params: ofProject,
  body: z.object({
    labels: z
      .array(z.object({ predictionId: z.string().max(100), value }))
      .min(1)
      .max(10_000)
      .describe('at most 10,000 in one call; a row of a request that had several is named ID:ROW'),
  }),
  output: z.object({
    recorded: z.int(),
    replaced: z.int().describe('another value stood there'),
    unchanged: z.int().describe('this very value stood there'),
    refused: z
      .array(z.object({ index: z.int(), predictionId: z.string(), reason: z.string() }))
      .describe('not taken, each with its place in the request; the others were taken'),
  }),
  errors: ['BadRequest', 'NotFound'],
})

export const labelsSummary = route({
  id: 'labels.summary',
  summary: 'How many labels there are per environment and version, how late they came, and which values',
  method: 'GET',
  path: '/api/v1/projects/:project/labels/summary',
  access: 'read',
  params: ofProject,
  output: z.object({
    items: z.array(
      z.object({
        environment: z.string(),
        model: z.string(),
        version: z.int(),
        digest: z.string(),
        labels: z.int(),
        firstAt: z.int(),
        lastAt: z.int(),
        meanDelayMs: z.int(),
        values: z.array(z.object({ value, count: z.int(), share: z.number() })),
      }),
    ),
  }),
  errors: ['NotFound'],
})
