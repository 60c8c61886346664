import type { Generated } from 'kysely'

/** Shared machinery: the outbox, leases, and access. */
export interface FoundationTables {
  events: { id: Generated<number>; type: string; payload: string; at: number }
  /** How far each consumer has come. */
  consumers: { consumer: string; position: number }
  /** Events that a consumer failed on too often; shown by `doctor`. */
  parked_events: { consumer: string; event_id: number; error: string; at: number }
  leases: { name: string; holder: string; expires_at: number }
  tokens: {
    hash: string
    name: string
    kind: string
    scope: string | null
    created_at: number
    expires_at: number | null
  }
  audit: {
    id: Generated<number>
    at: number
    actor: string
    action: string
    subject: string
    details: string
    previous: string
    digest: string
  }
}
