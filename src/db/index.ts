// One schema for all slices: the handle, transactions, the outbox with its dispatcher, leases, migrations.
// It knows tables, not meanings: each slice's store writes its own family.
export { asStorageError, type Db, onCommit, openDatabase, type Tx, transact } from './database.ts'
export { Dispatcher, type Subscription, subscribe } from './dispatcher.ts'
export { Leases } from './leases.ts'
export { eventsAfter, lastEventId, publish } from './outbox.ts'
