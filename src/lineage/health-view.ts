import { verifyAudit } from '../access/index.ts'
import type { Db } from '../db/index.ts'
import type { OutputOf } from '../kernel/route.ts'
import type { Clock } from '../ports/clock.ts'
import type { getHealth } from './lineage-contract.ts'

/** What `modelwright doctor` asks the server. */
export async function healthOf(db: Db, clock: Clock): Promise<OutputOf<typeof getHealth>> {
  const parked = await db
    .selectFrom('parked_events')
    .select(['consumer', 'event_id as eventId', 'error', 'at'])
    .orderBy('at', 'desc')
    .limit(100)
    .execute()
  const { entries } = await db
    .selectFrom('audit')
    .select((e) => e.fn.countAll<number>().as('entries'))
    .executeTakeFirstOrThrow()
  const { open } = await db
    .selectFrom('executions')
    .select((e) => e.fn.countAll<number>().as('open'))
    .where('state', 'in', ['queued', 'running', 'cancelling'])
    .executeTakeFirstOrThrow()
  const brokenAt = await verifyAudit(db)
  return {
    now: clock.now(),
    parkedEvents: parked,
    audit: { entries, ...(brokenAt === undefined ? {} : { brokenAt }) },
    openExecutions: open,
  }
}
