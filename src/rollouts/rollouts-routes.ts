import { type Endpoint, endpoint } from '../kernel/route.ts'
import { abortRollout, continueRollout, getDeployment, getGateway, listDeployments } from './rollouts-contract.ts'
import type { DeploymentView, RolloutsService, RolloutView } from './rollouts-service.ts'

export function rolloutEndpoints(rollouts: RolloutsService): Endpoint[] {
  return [
    endpoint(listDeployments, async ({ params }) => ({
      items: (await rollouts.deployments(params.project)).map(deploymentShown),
    })),
    endpoint(getDeployment, async ({ params }) => {
      const { rollouts: past, desiredHistory, ...view } = await rollouts.deployment(params)
      return { ...deploymentShown(view), rollouts: past.map(rolloutShown), desiredHistory }
    }),
    endpoint(getGateway, () => rollouts.gateway()),
    endpoint(continueRollout, async ({ params, actor }) => {
      await rollouts.continue(params.id, actor)
      return { id: params.id, requested: 'continue' as const }
    }),
    endpoint(abortRollout, async ({ params, actor }) => {
      await rollouts.abort(params.id, actor)
      return { id: params.id, requested: 'abort' as const }
    }),
  ]
}

function deploymentShown({ rollout, ...view }: DeploymentView) {
  if (!rollout) return view
  const { traffic, next } = rollout
  return { ...view, rollout: { ...rolloutShown(rollout), traffic, next } }
}

function rolloutShown({ plan, request, decisions, ...rollout }: RolloutView) {
  return {
    ...rollout,
    canary: plan.canary,
    everyMs: plan.everyMs,
    minRequests: plan.minRequests,
    decisions: decisions.map(({ at, outcome, reasons, ruleVersion, inputsDigest }) => ({
      ...{ at, outcome, reasons, ruleVersion, inputsDigest },
    })),
  }
}
