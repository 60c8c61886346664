// Who may do what: users, tokens, permissions, and the audit trail.
// Owns the owner's token file and the tables `tokens`, `users`, `user_tokens`, `user_permissions`, `step_secrets` and `audit`. It knows that a thing
// has a type and an id, never what the thing is; what a route needs at least stands in the route's `access`.
export { AccessService } from './access-service.ts'
export { appendAudit, verifyAudit } from './audit.ts'
export { allows, type Deed } from './decide/may.ts'
export { ownerTokenAt } from './owner-token.ts'
export { insist, PermissionsService, type Reading } from './permissions-service.ts'
export { SecretBox, secretsKeyAt } from './secrets.ts'
export { StepSecrets } from './step-secrets.ts'
export { secretEndpoints } from './step-secrets-routes.ts'
export * from './user.ts'
export * from './users-contract.ts'
export { userEndpoints } from './users-routes.ts'
export type { UsersService } from './users-service.ts'
