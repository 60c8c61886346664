import { type Endpoint, endpoint } from '../kernel/route.ts'
import { getRetraining, requestRetraining } from './retraining-contract.ts'
import type { RetrainingService } from './retraining-service.ts'

export function retrainingEndpoints(retraining: RetrainingService): Endpoint[] {
  return [
    endpoint(requestRetraining, ({ params, body, actor }) =>
      retraining.request(params.project, body.environment, actor, body.note),
    ),
    endpoint(getRetraining, async ({ params }) => ({
      environments: (await retraining.view(params.project)).map(({ decisions, ...view }) => ({
        ...view,
        decisions: decisions.map(({ project, environment, ...decision }) => decision),
      })),
    })),
  ]
}
