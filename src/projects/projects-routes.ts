import { type Endpoint, endpoint } from '../kernel/route.ts'
import { connectProject, getProject, listProjects } from './projects-contract.ts'
import type { ProjectsService } from './projects-service.ts'

export const projectEndpoints = (projects: ProjectsService): Endpoint[] => [
  endpoint(connectProject, async ({ body, actor }) => {
    const connected = await projects.connect(body, actor)
    return { ...connected, remote: `/git/${connected.name}.git` }
  }),
  endpoint(listProjects, ({ query }) => projects.list({ after: query.pageToken, limit: query.limit })),
  endpoint(getProject, ({ params }) => projects.get(params.project)),
]
