import type { AppEvent, EventType, NewEvent } from '../kernel/events.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Db, Tx } from './handle.ts'
import { statement } from './statements.ts'

const insertEvent = statement('insert into events (type, payload, at) values (?, ?, ?)')

const told = new WeakMap<Tx, Set<EventType>>()

/** Of which kinds events were written in this transaction. */
export const newsOf = (tx: Tx): ReadonlySet<EventType> => told.get(tx) ?? none

const none: ReadonlySet<EventType> = new Set()

/** Writes the event in the caller's transaction: told if and only if the change happened. */
export async function publish(tx: Tx, event: NewEvent, now: EpochMs): Promise<void> {
  told.set(tx, (told.get(tx) ?? new Set()).add(event.type))
  await insertEvent(tx, [event.type, JSON.stringify(event.payload), now])
}

export async function eventsAfter(
  db: Db,
  position: number,
  options: { types?: readonly EventType[]; limit: number },
): Promise<AppEvent[]> {
  let query = db.selectFrom('events').selectAll().where('id', '>', position).orderBy('id').limit(options.limit)
  if (options.types) query = query.where('type', 'in', options.types)
  const rows = await query.execute()
  return rows.map((row) => ({ id: row.id, type: row.type, at: row.at, payload: JSON.parse(row.payload) }) as AppEvent)
}

export async function lastEventId(db: Db): Promise<number> {
  const row = await db
    .selectFrom('events')
    .select((e) => e.fn.max('id').as('id'))
    .executeTakeFirst()
  return row?.id ?? 0
}
