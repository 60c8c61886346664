import type { FoundationTables } from './tables/foundation.ts'

/** Every table of the one schema; each slice writes only its own family. */
export type Tables = FoundationTables
