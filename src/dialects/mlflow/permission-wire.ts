import type { Grant, User } from '../../access/index.ts'

/** Permissions in the forms of mlflow/server/auth/entities.py. There is one workspace. */
export const workspace = 'default'

export const experimentPermissionWire = (user: User, { pattern, permission }: Grant) => ({
  experiment_id: pattern,
  user_id: user.id,
  permission,
})

export const modelPermissionWire = (user: User, { pattern, permission }: Grant) => ({
  workspace,
  name: pattern,
  user_id: user.id,
  permission,
})

export const scorerPermissionWire = (user: User, { pattern, permission }: Grant) => {
  const slash = pattern.indexOf('/')
  return {
    experiment_id: slash === -1 ? pattern : pattern.slice(0, slash),
    scorer_name: slash === -1 ? pattern : decodeURIComponent(pattern.slice(slash + 1)),
    user_id: user.id,
    permission,
  }
}

/** MLflow keeps a user's own permissions in a role that only this user has. */
export const grantRowWire = (user: User, { type, pattern, permission }: Grant) => ({
  role_id: user.id,
  role_name: `__user_${user.id}__`,
  workspace,
  resource_type: type,
  resource_pattern: pattern,
  permission,
})
