import type { Digest } from '../kernel/digest.ts'
import type { CommitId } from '../kernel/ids.ts'
import { type Endpoint, endpoint } from '../kernel/route.ts'
import type { Reproduction } from './reproduction.ts'
import { getReproduction, listReproductions, requestReproduction } from './reproductions-contract.ts'
import type { ReproductionsService } from './reproductions-service.ts'

export function reproductionEndpoints(reproductions: ReproductionsService): Endpoint[] {
  return [
    endpoint(requestReproduction, async ({ params, body: { runs, tolerance, commit }, actor }) => {
      const request = { digest: params.digest as Digest, runs, tolerance }
      return shown(
        await reproductions.request({ ...request, ...(commit ? { commit: commit as CommitId } : {}) }, actor),
      )
    }),
    endpoint(getReproduction, async ({ params }) => shown(await reproductions.get(params.id))),
    endpoint(listReproductions, async ({ params, query }) => {
      const found = await reproductions.list({
        project: params.project,
        limit: query.limit + 1,
        ...(query.digest ? { digest: query.digest } : {}),
        ...(query.pageToken ? { before: query.pageToken } : {}),
      })
      const items = found.slice(0, query.limit).map(shown)
      return found.length > query.limit ? { items, nextPageToken: items.at(-1)!.id } : { items }
    }),
  ]
}

/** What the models answered, and what differs of the packages, stands in the comparison. */
const shown = ({ predictions: _, installed: __, ...reproduction }: Reproduction) => reproduction
