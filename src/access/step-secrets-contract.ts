import { z } from 'zod'
import { route } from '../kernel/route.ts'

const secretName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,99}$/, 'the name of an environment variable')
const named = z.object({ name: secretName })
const ofProject = z.object({ project: z.string().min(1).max(200).optional() })
const done = z.object({})

export const listSecrets = route({
  id: 'secrets.list',
  summary: 'Names of the secrets that steps may ask for; values are never told',
  method: 'GET',
  path: '/api/v1/secrets',
  access: 'owner',
  query: z.object({
    limit: z.coerce.number().int().min(1).max(1000).default(100),
    pageToken: z.string().optional(),
  }),
  output: z.object({
    items: z.array(
      z.object({ project: z.string().optional(), name: z.string(), setBy: z.string(), setAt: z.number() }),
    ),
    nextPageToken: z.string().optional(),
  }),
})

export const setSecret = route({
  id: 'secrets.set',
  summary: 'Sets a secret of the server or of one project; another value takes the place of the one before',
  method: 'PUT',
  path: '/api/v1/secrets/:name',
  access: 'owner',
  params: named,
  query: ofProject,
  body: z.object({ value: z.string() }),
  output: done,
  errors: ['BadRequest'],
})

export const removeSecret = route({
  id: 'secrets.remove',
  summary: 'Forgets a secret; steps that run keep what they were given',
  method: 'DELETE',
  path: '/api/v1/secrets/:name',
  access: 'owner',
  params: named,
  query: ofProject,
  output: done,
  errors: ['NotFound'],
})
