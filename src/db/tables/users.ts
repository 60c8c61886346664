import type { Generated } from 'kysely'

/** Users, their tokens, and what each may do with which thing. */
export interface UserTables {
  users: {
    id: Generated<number>
    name: string
    /** Null: the user has tokens only. */
    password_hash: string | null
    admin: number
    created_at: number
  }
  user_tokens: { hash: string; user_id: number; name: string; created_at: number; expires_at: number | null }
  user_permissions: { user_id: number; resource_type: string; pattern: string; permission: string }
}
