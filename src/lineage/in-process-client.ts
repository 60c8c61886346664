import type { Client } from '../kernel/client.ts'
import { bug } from '../kernel/errors.ts'
import { anonymous, type Endpoint } from '../kernel/route.ts'

/**
 * The typed client without the wire: asks the endpoints of this very server, as somebody who may only read. Lineage reads
 * the other slices through it, so what it joins is what CLI and pages see.
 */
export function inProcessClient(endpoints: () => readonly Endpoint[]): Client {
  return async (route, input) => {
    const endpoint = endpoints().find((candidate) => candidate.route.id === route.id)
    if (!endpoint) throw bug(`The route ${route.id} is not mounted.`)
    if (endpoint.route.access !== 'read') throw bug(`Lineage asked ${route.id}, which is not for reading.`)
    const { params, query, body } = input as { params?: unknown; query?: unknown; body?: unknown }
    const answer = await endpoint.handle({
      params: endpoint.route.params?.parse(params),
      query: endpoint.route.query?.parse(query ?? {}),
      body: endpoint.route.body?.parse(body ?? {}),
      actor: anonymous,
    })
    return answer as never
  }
}
