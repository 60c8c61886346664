import { mergeStats } from '../decide/merge-gateways.ts'
import type { ModelRepository, ServedName } from '../protocols/model-repository.ts'
import { ScoringError } from '../scoring-error.ts'
import type { Endpoint } from './endpoint.ts'
import type { GatewayTold } from './siblings.ts'

/**
 * The endpoints as models of the Open Inference Protocol. Below its own path an endpoint's model has the name that Git gives it; on
 * the gateway as a whole it is `PROJECT.ENVIRONMENT`, because two environments serve models of one name.
 * @param others what the other processes of the gateway tell when they are asked
 */
export function repositoryOf(
  endpoints: readonly Endpoint[],
  { serverVersion, byModel, others }: { serverVersion: string; byModel: boolean; others: () => Promise<GatewayTold[]> },
): ModelRepository {
  const list = () => endpoints.map((one) => (byModel ? one.served : named(one.served, one.name.replace('/', '.'))))
  const refused = (): never => {
    throw new ScoringError(400, 'PERMISSION_DENIED', 'What is loaded here is what Git says; a commit changes it.')
  }
  return {
    serverVersion,
    get isReady() {
      return endpoints.every((one) => one.isServing)
    },
    list,
    find: (name) => {
      const all = list()
      const byOwnName = endpoints.filter((one) => one.served.name === name)
      return all.find((one) => one.name === name) ?? (byOwnName.length === 1 ? byOwnName[0]!.served : undefined)
    },
    statistics: async (models) => {
      const told = await others()
      return models.map(({ stats }) => {
        const { name } = endpoints.find((one) => one.stats === stats)!
        return mergeStats([stats, ...told.flatMap(({ endpoints: theirs }) => theirs[name]?.stats ?? [])])
      })
    },
    load: async () => refused(),
    unload: async () => refused(),
  }
}

const named = (served: ServedName, name: string): ServedName => ({
  name,
  version: served.version,
  facts: served.facts,
  state: served.state,
  reason: served.reason,
  stats: served.stats,
  infer: (request, signal) => served.infer(request, signal),
})
