import { type Endpoint, endpoint } from '../kernel/route.ts'
import type { StepSecrets } from './step-secrets.ts'
import { listSecrets, removeSecret, setSecret } from './step-secrets-contract.ts'

export function secretEndpoints(secrets: StepSecrets): Endpoint[] {
  return [
    endpoint(listSecrets, async ({ query }) => {
      const after = query.pageToken === undefined ? {} : { after: readToken(query.pageToken) }
      const found = await secrets.list({ limit: query.limit + 1, ...after })
      const items = found.slice(0, query.limit)
      return { items, ...(found.length > query.limit ? { nextPageToken: tokenFor(items.at(-1)!) } : {}) }
    }),
    endpoint(setSecret, async ({ params, query, body, actor }) => {
      await secrets.set(actor, { ...query, name: params.name, value: body.value })
      return {}
    }),
    endpoint(removeSecret, async ({ params, query, actor }) => {
      await secrets.remove(actor, { ...query, name: params.name })
      return {}
    }),
  ]
}

type Place = { project: string; name: string }

const tokenFor = ({ project = '', name }: { project?: string; name: string }): string =>
  Buffer.from(`${project}\n${name}`).toString('base64url')

function readToken(token: string): Place {
  const [project = '', name = ''] = Buffer.from(token, 'base64url').toString('utf8').split('\n')
  return { project, name }
}
