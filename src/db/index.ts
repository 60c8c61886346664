// One schema for all slices: the handle, transactions, the outbox with its dispatcher, leases, migrations.
// It knows tables, not meanings: each slice's store writes its own family.
export { onNews, openDatabase, transact } from './database.ts'
export { isPostgres } from './dialects/postgres.ts'
export { Dispatcher, type Subscription, subscribe } from './dispatcher.ts'
export type { Db, Tx } from './handle.ts'
export { Leases } from './leases.ts'
export { eventsAfter, lastEventId, publish } from './outbox.ts'
export { arraysOf, deleteSome, deleteSomeOf, insertStatement, isOneOf, statement } from './statements.ts'
