import { type Endpoint, endpoint } from '../kernel/route.ts'
import type { Clock } from '../ports/clock.ts'
import {
  addUser,
  changeUser,
  issueUserToken,
  listUsers,
  listUserTokens,
  removeUser,
  revokeUserToken,
} from './users-contract.ts'
import type { UsersService } from './users-service.ts'

export function userEndpoints({ users, clock }: { users: UsersService; clock: Clock }): Endpoint[] {
  return [
    endpoint(listUsers, async ({ query }) => {
      const found = await users.list({ limit: query.limit + 1, after: readToken(query.pageToken) })
      const items = found.slice(0, query.limit)
      return { items, ...(found.length > query.limit ? { nextPageToken: tokenFor(items.at(-1)!.name) } : {}) }
    }),
    endpoint(addUser, ({ body, actor }) => users.create(actor, body)),
    endpoint(changeUser, async ({ params: { name }, body, actor }) => {
      if (body.password !== undefined) await users.setPassword(actor, name, body.password)
      if (body.admin !== undefined) await users.setAdmin(actor, name, body.admin)
      return users.named(name)
    }),
    endpoint(removeUser, async ({ params, actor }) => {
      await users.remove(actor, params.name)
      return {}
    }),
    endpoint(listUserTokens, async ({ params }) => ({ items: await users.tokens(params.name) })),
    endpoint(issueUserToken, async ({ params, body, actor }) => {
      const expiresAt = body.expiresInMs === undefined ? undefined : clock.now() + body.expiresInMs
      const expiry = expiresAt === undefined ? {} : { expiresAt }
      return { token: await users.issueToken(actor, params.name, { name: body.name, ...expiry }), ...expiry }
    }),
    endpoint(revokeUserToken, async ({ params, actor }) => {
      await users.revokeToken(actor, params.name, params.token)
      return {}
    }),
  ]
}

const tokenFor = (name: string): string => Buffer.from(name).toString('base64url')
const readToken = (token: string | undefined): string | undefined =>
  token === undefined ? undefined : Buffer.from(token, 'base64url').toString('utf8')
