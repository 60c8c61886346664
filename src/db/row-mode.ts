import type { CompiledQuery } from 'kysely'

/** A query whose rows come as arrays, in the columns' order. */
export type ArrayQuery = CompiledQuery & { rowMode: 'array' }

export const givesArrays = (query: CompiledQuery): query is ArrayQuery => 'rowMode' in query
