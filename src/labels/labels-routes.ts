import { type Endpoint, endpoint } from '../kernel/route.ts'
import type { ProjectsService } from '../projects/index.ts'
import { labelsSummary, receiveLabels } from './labels-contract.ts'
import type { LabelsService } from './labels-service.ts'

/** `projects.get` refuses a name that nobody connected. */
export function labelEndpoints(labels: LabelsService, projects: Pick<ProjectsService, 'get'>): Endpoint[] {
  return [
    endpoint(receiveLabels, async ({ params, body, actor }) => {
      const { name } = await projects.get(params.project)
      return labels.receive(name, body.labels, actor)
    }),
    endpoint(labelsSummary, async ({ params }) => {
      const { name } = await projects.get(params.project)
      return { items: await labels.summary(name) }
    }),
  ]
}
