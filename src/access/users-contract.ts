import { z } from 'zod'
import { route } from '../kernel/route.ts'

const userShape = z.object({ id: z.number(), name: z.string(), admin: z.boolean(), createdAt: z.number() })
const tokenShape = z.object({ name: z.string(), createdAt: z.number(), expiresAt: z.number().optional() })
const named = z.object({ name: z.string() })
const done = z.object({})

export const listUsers = route({
  id: 'users.list',
  summary: 'Users, in order of name',
  method: 'GET',
  path: '/api/v1/users',
  access: 'owner',
  query: z.object({
    limit: z.coerce.number().int().min(1).max(1000).default(100),
    pageToken: z.string().optional(),
  }),
  output: z.object({ items: z.array(userShape), nextPageToken: z.string().optional() }),
})

export const addUser = route({
  id: 'users.add',
  summary: 'A new user; without a password it has tokens only',
  method: 'POST',
  path: '/api/v1/users',
  access: 'owner',
  body: z.object({ name: z.string(), password: z.string().optional(), admin: z.boolean().default(false) }),
  output: userShape,
  errors: ['AlreadyExists', 'BadRequest'],
})

export const changeUser = route({
  id: 'users.change',
  summary: 'Another password, or admin or not; whatever is left out stays',
  method: 'PATCH',
  path: '/api/v1/users/:name',
  access: 'owner',
  params: named,
  body: z.object({ password: z.string().optional(), admin: z.boolean().optional() }),
  output: userShape,
  errors: ['NotFound', 'BadRequest'],
})

export const removeUser = route({
  id: 'users.remove',
  summary: 'Removes a user with its tokens and permissions; what it made stays',
  method: 'DELETE',
  path: '/api/v1/users/:name',
  access: 'owner',
  params: named,
  output: done,
  errors: ['NotFound'],
})

export const listUserTokens = route({
  id: 'users.tokens.list',
  summary: "A user's tokens; the secrets are not kept",
  method: 'GET',
  path: '/api/v1/users/:name/tokens',
  access: 'owner',
  params: named,
  output: z.object({ items: z.array(tokenShape) }),
  errors: ['NotFound'],
})

export const issueUserToken = route({
  id: 'users.tokens.issue',
  summary: 'A new token of a user; its secret is in this answer and nowhere else',
  method: 'POST',
  path: '/api/v1/users/:name/tokens',
  access: 'owner',
  params: named,
  body: z.object({
    /** What it is for, once per user. */
    name: z.string(),
    /** How long it counts, from now on; for ever where it is left out. */
    expiresInMs: z
      .number()
      .int()
      .positive()
      .max(Number.MAX_SAFE_INTEGER / 4)
      .optional(),
  }),
  output: z.object({ token: z.string(), expiresAt: z.number().optional() }),
  errors: ['NotFound', 'AlreadyExists', 'BadRequest'],
})

export const revokeUserToken = route({
  id: 'users.tokens.revoke',
  summary: 'A token counts no more, from now on',
  method: 'DELETE',
  path: '/api/v1/users/:name/tokens/:token',
  access: 'owner',
  params: z.object({ name: z.string(), token: z.string() }),
  output: done,
  errors: ['NotFound'],
})
