import type { AppEvent, EventType, NewEvent } from '../kernel/events.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Db, Tx } from './handle.ts'

const telling = new WeakSet<Tx>()

/** Whether an event was written in this transaction. */
export const hasNews = (tx: Tx): boolean => telling.has(tx)

/** Writes the event in the caller's transaction: told if and only if the change happened. */
export async function publish(tx: Tx, event: NewEvent, now: EpochMs): Promise<void> {
  telling.add(tx)
  await tx
    .insertInto('events')
    .values({ type: event.type, payload: JSON.stringify(event.payload), at: now })
    .execute()
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
