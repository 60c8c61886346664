import { type Endpoint, endpoint, type OutputOf } from '../kernel/route.ts'
import type { GateService } from './gate-service.ts'
import type { StoredVerdict } from './gate-store.ts'
import { getVerdict, listVerdicts } from './gates-contract.ts'

export function gateEndpoints(gates: GateService): Endpoint[] {
  return [
    endpoint(listVerdicts, async ({ query }) => ({ items: (await gates.list(query)).map(verdictView) })),
    endpoint(getVerdict, async ({ params }) => verdictView(await gates.verdict(params.id))),
  ]
}

function verdictView({ verdict, facts: _, ...stored }: StoredVerdict): OutputOf<typeof getVerdict> {
  return { ...stored, ...verdict }
}
