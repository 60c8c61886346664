// Who may do what: tokens and the audit trail.
// Owns the owner's token file and the tables `tokens` and `audit`; never decides what a role means elsewhere than in routes' `access`.
export { AccessService } from './access-service.ts'
export { appendAudit, verifyAudit } from './audit.ts'
export { ownerTokenAt } from './owner-token.ts'
