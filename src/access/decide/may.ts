import type { Actor } from '../../kernel/route.ts'
import { type Action, type Grant, type Level, levels, type Permission, type Resource, type Visible } from '../user.ts'

/** What is to be done: to a thing, or to what belongs to the whole server (users, permissions on everything, webhooks). */
export type Deed =
  | {
      action: Action
      on: Resource /** The step run that it belongs to, where it belongs to one. */
      stepRunId?: string
    }
  | { action: 'administer' }

/** A user's permissions, and the level where none of them speaks of a thing. */
export type Standing = { grants: readonly Grant[]; defaultPermission: Level }

export type Answer = { allowed: true } | { allowed: false; reason: string }

const needed: Record<Action, Level> = { read: 'READ', use: 'USE', update: 'EDIT', delete: 'MANAGE', manage: 'MANAGE' }
const yes: Answer = { allowed: true }

/**
 * Whether somebody may do something. The owner and admins may do everything. Who is not known may do what MLflow's API can where
 * the door lets them in at all, but give nobody permissions. A step writes what belongs to its own run and reads everything.
 * A user may do what the permission on the thing allows; without a standing, nothing.
 */
export function may(actor: Actor, deed: Deed, standing?: Standing): Answer {
  if (actor.kind === 'owner' || actor.admin === true) return yes
  if (actor.kind === 'anonymous')
    return deed.action === 'administer' || deed.action === 'manage'
      ? { allowed: false, reason: 'nobody knows who you are' }
      : yes
  if (actor.kind === 'step') return mayStep(actor, deed)
  if (deed.action === 'administer') return { allowed: false, reason: `${actor.name} is no admin` }
  const permission = standing ? permissionOn(deed.on, standing) : 'NO_PERMISSIONS'
  if (allows(permission, deed.action)) return yes
  const { type, id } = deed.on
  return {
    allowed: false,
    reason: `${actor.name} has ${permission} on ${type.replace('_', ' ')} ${id}, and ${deed.action} needs ${needed[deed.action]}`,
  }
}

function mayStep(actor: Actor, deed: Deed): Answer {
  if (deed.action === 'read') return yes
  if (deed.action !== 'administer' && deed.stepRunId !== undefined && deed.stepRunId === actor.runId) return yes
  return { allowed: false, reason: `the token of step run ${actor.runId ?? '?'} stands for that run only` }
}

/**
 * The permission that counts on a thing. Of the grants on it and on all of its type, DENY wins, then the highest; a positive one
 * never gives less than the default. Source: mlflow 3.17.2, server/auth/requirements.py (fold_grants_for_key, floor_positive_permission).
 */
export function permissionOn(resource: Resource, { grants, defaultPermission }: Standing): Permission {
  let best: Level | undefined
  for (const { type, pattern, permission } of grants) {
    if (type !== resource.type || (pattern !== '*' && pattern !== resource.id)) continue
    if (permission === 'DENY') return 'DENY'
    if (best === undefined || rank(permission) > rank(best)) best = permission
  }
  if (best === undefined) return defaultPermission
  if (best === 'NO_PERMISSIONS') return best
  return rank(best) < rank(defaultPermission) ? defaultPermission : best
}

/** Which things of a type a user may read: what a search is limited to. */
export function visibleTo(type: Resource['type'], standing: Standing): Visible {
  const readable = (id: string): boolean => allows(permissionOn({ type, id }, standing), 'read')
  const named = [
    ...new Set(
      standing.grants.filter((grant) => grant.type === type && grant.pattern !== '*').map((one) => one.pattern),
    ),
  ]
  // No thing is called "*": what counts for it counts for all that no grant names.
  return readable('*') ? { except: named.filter((id) => !readable(id)) } : { only: named.filter(readable) }
}

export const allows = (permission: Permission, action: Action): boolean =>
  permission !== 'DENY' && rank(permission) >= rank(needed[action])

const rank = (level: Level): number => levels.indexOf(level)
