import { z } from 'zod'
import { route } from '../kernel/route.ts'

/** `head` is the commit that the authoritative branch is recorded at. */
export const projectShape = z.object({
  name: z.string(),
  branch: z.string(),
  createdAt: z.number().int(),
  head: z.string().optional(),
})

export const connectProject = route({
  id: 'projects.connect',
  summary: 'Connects a repository: makes the remote that it is pushed to. The same call again changes nothing.',
  method: 'POST',
  path: '/api/v1/projects',
  access: 'member',
  body: z.object({
    name: z.string().max(64),
    branch: z
      .string()
      .max(200)
      .regex(/^[A-Za-z0-9][A-Za-z0-9_./-]*$/)
      .optional()
      .describe('the authoritative branch; main where nothing is said'),
  }),
  output: projectShape.extend({ created: z.boolean(), remote: z.string().describe('path of the Git remote') }),
  errors: ['BadRequest', 'Conflict'],
})

export const listProjects = route({
  id: 'projects.list',
  summary: 'All projects, by name',
  method: 'GET',
  path: '/api/v1/projects',
  access: 'read',
  query: z.object({
    limit: z.coerce.number().int().min(1).max(1000).default(100),
    pageToken: z.string().max(200).optional(),
  }),
  output: z.object({ items: z.array(projectShape), nextPageToken: z.string().optional() }),
})

export const getProject = route({
  id: 'projects.get',
  summary: 'One project',
  method: 'GET',
  path: '/api/v1/projects/:project',
  access: 'read',
  params: z.object({ project: z.string() }),
  output: projectShape,
  errors: ['NotFound'],
})
