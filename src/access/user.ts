/** What a user may do with a thing, as MLflow's auth app orders it: each level allows what the ones before it allow. */
export const levels = ['NO_PERMISSIONS', 'READ', 'USE', 'EDIT', 'MANAGE'] as const
export type Level = (typeof levels)[number]
/** DENY stands above every level that another permission on the same thing gives. */
export type Permission = Level | 'DENY'

/** What permissions are given on; everything else belongs to one of these. Prompts are models with names of their own. */
export const resourceTypes = ['experiment', 'registered_model', 'prompt', 'scorer'] as const
export type ResourceType = (typeof resourceTypes)[number]
/** `id`: an experiment's id, a model's or prompt's name, `<experiment>/<name>` of a scorer. */
export type Resource = { type: ResourceType; id: string }

export type Action = 'read' | 'use' | 'update' | 'delete' | 'manage'

/** On one thing, or on all of its type (`*`). */
export type Grant = { type: ResourceType; pattern: string; permission: Permission }

export type User = { id: number; name: string; admin: boolean; createdAt: number }

/** A user's token; the secret itself is told once, when it is issued. */
export type UserToken = { name: string; createdAt: number; expiresAt?: number }

/** Which things of a type may be read: all but these, or these alone. */
export type Visible<Id = string> = { except: readonly Id[] } | { only: readonly Id[] }
