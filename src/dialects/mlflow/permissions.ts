import type { FastifyInstance, FastifyRequest } from 'fastify'
import {
  allows,
  type Grant,
  type Permission,
  type PermissionsService,
  type Resource,
  type ResourceType,
  resourceTypes,
  type User,
} from '../../access/index.ts'
import type { Actor } from '../../kernel/route.ts'
import { type MlflowAccess, refuseUnknown, scorerResource } from './access.ts'
import { type Reader, readMessage, required, text } from './message.ts'
import { MlflowError } from './mlflow-error.ts'
import { type MlflowParts, mount } from './parts.ts'
import {
  experimentPermissionWire,
  grantRowWire,
  modelPermissionWire,
  scorerPermissionWire,
  workspace,
} from './permission-wire.ts'
import { bodyOrQuery, selfOrAdmin } from './users.ts'

/**
 * Permissions of users on things: of any kind under users/permissions (clients since 3.12), and per kind (clients before that). Who
 * may manage a thing gives and takes permissions on it; those on all things of a kind (`*`) are the admins'.
 */
export function mountPermissions(app: FastifyInstance, parts: MlflowParts, access: MlflowAccess): void {
  const { permissions } = parts.access
  mountUnified(app, permissions, access)
  for (const kind of kinds(access)) mountKind(app, permissions, access, kind)
}

function mountUnified(app: FastifyInstance, permissions: PermissionsService, access: MlflowAccess): void {
  const root = '/3.0/mlflow/users'
  const addressed = { username: required(text), resource_type: required(text), resource_id: required(text) }

  mount(app, 'POST', `${root}/permissions/grant`, async (request) => {
    const asked = readMessage(request, { ...addressed, permission: required(text) })
    const resource = resourceFrom(asked)
    await mayGive(access, request.actor, resource)
    const grant = grantOf(resource, grantable(asked.permission, resource.type))
    if ((await permissions.grant(request.actor, asked.username, grant, 'new')) === 'exists')
      throw new MlflowError('RESOURCE_ALREADY_EXISTS', `${addressedText(asked)} already exists.`)
    return {}
  })

  mount(app, 'POST', `${root}/permissions/revoke`, async (request) => {
    const asked = readMessage(request, addressed)
    const { type, id } = resourceFrom(asked)
    await mayGive(access, request.actor, { type, id })
    if (!(await permissions.revoke(request.actor, asked.username, type, id)))
      throw new MlflowError('RESOURCE_DOES_NOT_EXIST', `${addressedText(asked)} not found.`)
    return {}
  })

  mount(app, 'GET', `${root}/permissions/get`, async (request) => {
    const asked = readMessage(request, addressed)
    const resource = resourceFrom(asked)
    await selfOrAdmin(access, request.actor, asked.username)
    const permission = await permissions.effective(asked.username, resource)
    return { allowed: allows(permission, 'use'), permission }
  })

  const listed = async (username: string) => {
    const { user, grants } = await permissions.grantsOf(username)
    return { is_admin: user.admin, permissions: grants.map((grant) => grantRowWire(user, grant)) }
  }

  mount(app, 'GET', `${root}/permissions/list`, async (request) => {
    const { username } = readMessage(request, { username: required(text) })
    await selfOrAdmin(access, request.actor, username)
    return listed(username)
  })

  mount(app, 'GET', `${root}/current/permissions`, async ({ actor }) => {
    refuseUnknown(actor)
    return actor.userId === undefined ? { is_admin: actor.kind === 'owner', permissions: [] } : listed(actor.name)
  })
}

/** One of the kinds of things that older clients address each in its own way. */
type Kind<Address extends Record<string, Reader<string>> = Record<string, Reader<string>>> = {
  root: string
  answer: string
  address: Address
  resource: (asked: Record<string, string>) => Resource | Promise<Resource>
  wire: (user: User, grant: Grant) => unknown
  exists: (asked: Record<string, string>) => string
  missing: (asked: Record<string, string>) => string
}

const kinds = (access: MlflowAccess): Kind[] => [
  {
    root: '/2.0/mlflow/experiments/permissions',
    answer: 'experiment_permission',
    address: { experiment_id: required(text) },
    resource: (asked) => ({ type: 'experiment', id: asked.experiment_id! }),
    wire: experimentPermissionWire,
    exists: (asked) =>
      `Experiment permission (experiment_id=${asked.experiment_id}, username=${asked.username}) already exists.`,
    missing: (asked) =>
      `Experiment permission with experiment_id=${asked.experiment_id} and username=${asked.username} not found`,
  },
  {
    root: '/2.0/mlflow/registered-models/permissions',
    answer: 'registered_model_permission',
    address: { name: required(text) },
    resource: async ({ name = '' }) => ({ type: (await access.modelType(name)) ?? 'registered_model', id: name }),
    wire: modelPermissionWire,
    exists: (asked) =>
      `Registered model permission (workspace=${workspace}, name=${asked.name}, username=${asked.username}) already exists.`,
    missing: (asked) =>
      `Registered model permission with workspace=${workspace}, name=${asked.name} and username=${asked.username} not found`,
  },
  {
    root: '/3.0/mlflow/scorers/permissions',
    answer: 'scorer_permission',
    address: { experiment_id: required(text), scorer_name: required(text) },
    resource: (asked) => scorerResource(asked.experiment_id!, asked.scorer_name!),
    wire: scorerPermissionWire,
    exists: (asked) =>
      `Scorer permission (experiment_id=${asked.experiment_id}, scorer_name=${asked.scorer_name}, username=${asked.username}) already exists.`,
    missing: (asked) =>
      `Scorer permission with experiment_id=${asked.experiment_id}, scorer_name=${asked.scorer_name}, and username=${asked.username} not found`,
  },
]

function mountKind(app: FastifyInstance, permissions: PermissionsService, access: MlflowAccess, kind: Kind): void {
  const { root, answer, address } = kind
  const asks = async (request: FastifyRequest, more: Record<string, Reader<string>> = {}) => {
    const asked: Record<string, string> = readMessage(request, { ...address, username: required(text), ...more })
    const resource = await kind.resource(asked)
    await access.manage(request.actor, resource)
    return { asked, username: asked.username!, resource, actor: request.actor }
  }
  const permission = { permission: required(text) }

  mount(app, 'POST', `${root}/create`, async (request) => {
    const { asked, username, resource, actor } = await asks(request, permission)
    const grant = grantOf(resource, known(asked.permission!))
    const user = await permissions.grant(actor, username, grant, 'new')
    if (typeof user === 'string') throw new MlflowError('RESOURCE_ALREADY_EXISTS', kind.exists(asked))
    return { [answer]: kind.wire(user, grant) }
  })

  mount(app, 'GET', `${root}/get`, async (request) => {
    const { asked, username, resource } = await asks(request)
    const { user, grants } = await permissions.grantsOf(username)
    const grant = grants.find(({ type, pattern }) => type === resource.type && pattern === resource.id)
    if (!grant) throw new MlflowError('RESOURCE_DOES_NOT_EXIST', kind.missing(asked))
    return { [answer]: kind.wire(user, grant) }
  })

  mount(app, 'PATCH', `${root}/update`, async (request) => {
    const { asked, username, resource, actor } = await asks(request, permission)
    const grant = grantOf(resource, known(asked.permission!))
    if (typeof (await permissions.grant(actor, username, grant, 'changed')) === 'string')
      throw new MlflowError('RESOURCE_DOES_NOT_EXIST', kind.missing(asked))
    return {}
  })

  mount(app, 'DELETE', `${root}/delete`, async (request) => {
    const { asked, username, resource, actor } = await asks(bodyOrQuery(request))
    if (!(await permissions.revoke(actor, username, resource.type, resource.id)))
      throw new MlflowError('RESOURCE_DOES_NOT_EXIST', kind.missing(asked))
    return {}
  })
}

const mayGive = (access: MlflowAccess, actor: Actor, resource: Resource): Promise<void> =>
  resource.id === '*' ? access.administer(actor) : access.manage(actor, resource)

const grantOf = ({ type, id }: Resource, permission: Permission): Grant => ({ type, pattern: id, permission })

const addressedText = (asked: { username: string; resource_type: string; resource_id: string }): string =>
  `Permission for user=${asked.username} on resource_type=${asked.resource_type}, resource_id=${asked.resource_id}`

/** Kinds that MLflow gives permissions on and that belong to their experiment or model here, or are not carried out. */
const otherTypes = [
  'assessment',
  'gateway_endpoint',
  'gateway_model_definition',
  'gateway_secret',
  'logged_model',
  'mcp_server',
  'mcp_server_version',
  'prompt_version',
  'registered_model_version',
  'review_queue',
  'run',
  'scorer_version',
  'trace',
  'workspace',
]
const grantables = ['READ', 'USE', 'EDIT', 'MANAGE', 'DENY'] as const
const all = ['READ', 'USE', 'EDIT', 'MANAGE', 'NO_PERMISSIONS', 'DENY'] as const

function resourceFrom(asked: { resource_type: string; resource_id: string }): Resource {
  const { resource_type: type, resource_id: id } = asked
  if (type === 'workspace')
    throw invalid(
      "resource_type 'workspace' is not supported by the per-user permission convenience APIs. Use set_workspace_permission / delete_workspace_permission for workspace-wide grants.",
    )
  if (otherTypes.includes(type))
    throw new MlflowError(
      'NOT_IMPLEMENTED',
      `Permissions on resource_type '${type}' are not supported: give them on the experiment, model, prompt or scorer that it belongs to.`,
    )
  if (!(resourceTypes as readonly string[]).includes(type))
    throw invalid(
      `Invalid resource type '${type}'. Valid resource types are: ${tuple([...resourceTypes, ...otherTypes].sort())}`,
    )
  if (type === 'scorer' && id !== '*' && !id.includes('/'))
    throw invalid("Invalid scorer resource_id. Expected '<experiment_id>/<scorer_name>'.")
  return { type: type as ResourceType, id }
}

function known(permission: string): Permission {
  const found = all.find((one) => one === permission)
  if (found) return found
  throw invalid(`Invalid permission '${permission}'. Valid permissions are: ${tuple(all)}`)
}

function grantable(permission: string, type: ResourceType): Permission {
  const found = grantables.find((one) => one === known(permission))
  if (found) return found
  throw invalid(
    `Invalid permission '${permission}' for resource_type='${type}'. Resource-level grants accept only: ${tuple([...grantables].sort())}.`,
  )
}

const tuple = (words: readonly string[]): string => `(${words.map((word) => `'${word}'`).join(', ')})`
const invalid = (message: string): MlflowError => new MlflowError('INVALID_PARAMETER_VALUE', message)
