import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { AccessService, Grant, User, UsersService } from '../../access/index.ts'
import type { Actor } from '../../kernel/route.ts'
import { type MlflowAccess, refuseUnknown } from './access.ts'
import { flag, queryOf, readMessage, required, text } from './message.ts'
import { MlflowError } from './mlflow-error.ts'
import { type MlflowParts, mount } from './parts.ts'
import { experimentPermissionWire, modelPermissionWire, scorerPermissionWire } from './permission-wire.ts'

const root = '/2.0/mlflow/users'
const named = { username: required(text) }
const atOnce = 1000

/** Users, as AuthServiceClient (mlflow/server/auth/client.py) makes, reads and changes them. */
export function mountUsers(app: FastifyInstance, parts: MlflowParts, access: MlflowAccess): void {
  mountReading(app, parts.access, access)
  mountChanges(app, parts.access, access)
}

function mountReading(app: FastifyInstance, { users, permissions }: AccessService, access: MlflowAccess): void {
  mount(app, 'GET', `${root}/get`, async (request) => {
    const { username } = readMessage(request, named)
    await selfOrAdmin(access, request.actor, username)
    const { user, grants } = await permissions.grantsOf(username)
    return { user: userWire(user, grants) }
  })

  // Whoever is known may see whom to ask for something.
  mount(app, 'GET', `${root}/list`, async (request) => {
    refuseUnknown(request.actor)
    return { users: (await allUsers(users)).map((user) => ({ ...identity(user), roles: [] })) }
  })

  mount(app, 'GET', `${root}/current`, async ({ actor }) => ({ user: currentUser(actor), is_basic_auth: true }))
}

function mountChanges(app: FastifyInstance, service: AccessService, access: MlflowAccess): void {
  const { users } = service

  mount(app, 'POST', `${root}/create`, async (request) => {
    await access.administer(request.actor)
    const { username, password } = readMessage(request, { ...named, password: required(text) })
    return { user: userWire(await users.create(request.actor, { name: username, password }), []) }
  })

  mount(app, 'PATCH', `${root}/update-password`, async (request) => {
    const { actor } = request
    const asked = readMessage(request, { ...named, password: required(text), current_password: text })
    await selfOrAdmin(access, actor, asked.username)
    if (isSelf(actor, asked.username)) await insistOnCurrent(service, asked)
    await users.setPassword(actor, asked.username, asked.password)
    return {}
  })

  mount(app, 'PATCH', `${root}/update-admin`, async (request) => {
    await access.administer(request.actor)
    const { username, is_admin } = readMessage(request, { ...named, is_admin: required(flag) })
    await users.setAdmin(request.actor, username, is_admin)
    return {}
  })

  mount(app, 'DELETE', `${root}/delete`, async (request) => {
    await access.administer(request.actor)
    const { username } = readMessage(bodyOrQuery(request), named)
    if (isSelf(request.actor, username))
      throw new MlflowError(
        'BAD_REQUEST',
        'Users cannot delete their own account. Ask another admin to delete this user instead.',
      )
    await users.remove(request.actor, username)
    return {}
  })
}

export const isSelf = (actor: Actor, username: string): boolean =>
  actor.kind === 'member' && actor.userId !== undefined && actor.name === username

export async function selfOrAdmin(access: MlflowAccess, actor: Actor, username: string): Promise<void> {
  if (!isSelf(actor, username)) await access.administer(actor)
}

/** Clients of a DELETE name what they mean in the body or in the query. */
export function bodyOrQuery(request: FastifyRequest): FastifyRequest {
  if (request.body === undefined || request.body === null) request.body = queryOf(request)
  return request
}

/** Somebody who found a session open must not lock its user out. */
async function insistOnCurrent(
  service: AccessService,
  asked: { username: string; password: string; current_password?: string },
): Promise<void> {
  const { username, password, current_password: current } = asked
  if (!current) throw invalid('Current password is required when changing your own password.')
  if (!(await service.isPassword(username, current))) throw invalid('Current password does not match.')
  if (password === current) throw invalid('New password must differ from the current password.')
}

const invalid = (message: string): MlflowError => new MlflowError('INVALID_PARAMETER_VALUE', message)

async function allUsers(users: UsersService): Promise<User[]> {
  const all: User[] = []
  for (;;) {
    const page = await users.list({ limit: atOnce, ...(all.length > 0 ? { after: all.at(-1)!.name } : {}) })
    all.push(...page)
    if (page.length < atOnce) return all
  }
}

/** The owner is nobody's user: MLflow's page and clients see an admin. */
function currentUser(actor: Actor) {
  refuseUnknown(actor)
  if (actor.kind === 'step')
    throw new MlflowError('PERMISSION_DENIED', "Permission denied: a step's token stands for its run, not for a user.")
  return { id: actor.userId ?? 0, username: actor.name, is_admin: actor.kind === 'owner' || actor.admin === true }
}

const identity = ({ id, name, admin }: User) => ({ id, username: name, is_admin: admin })

/** Clients before 3.12 read the permissions from here. */
const userWire = (user: User, grants: readonly Grant[]) => ({
  ...identity(user),
  experiment_permissions: grants
    .filter(({ type }) => type === 'experiment')
    .map((one) => experimentPermissionWire(user, one)),
  registered_model_permissions: grants
    .filter(({ type }) => type === 'registered_model' || type === 'prompt')
    .map((one) => modelPermissionWire(user, one)),
  scorer_permissions: grants.filter(({ type }) => type === 'scorer').map((one) => scorerPermissionWire(user, one)),
})
