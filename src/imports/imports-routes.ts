import { type Endpoint, endpoint } from '../kernel/route.ts'
import { beginImport, compareItems, listImports, takeBatch, whatIsLeft } from './imports-contract.ts'
import type { ImportsService } from './imports-service.ts'

export function importEndpoints(imports: ImportsService): Endpoint[] {
  return [
    endpoint(beginImport, ({ body, actor }) => imports.begin(body, actor)),
    endpoint(listImports, async () => ({ items: await imports.list() })),
    endpoint(whatIsLeft, async ({ params, body }) => ({ ids: await imports.left(params.id, body.kind, body.ids) })),
    endpoint(takeBatch, ({ params, body, actor }) => imports.take(params.id, body, actor)),
    endpoint(compareItems, ({ params, body }) => imports.compare(params.id, body.kind, body.ids)),
  ]
}
