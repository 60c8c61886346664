import { Cron } from 'croner'
import type { EpochMs } from '../../kernel/time.ts'

/**
 * The latest time in (since, now] at which a schedule was due, UTC; undefined where it was not. What was missed while nobody looked
 * is one due time, the latest: a schedule that was missed seven times runs once.
 * @param cron five fields, checked when the file was read
 */
export function latestDue(cron: string, since: EpochMs, now: EpochMs): EpochMs | undefined {
  // croner's references are exclusive and in whole seconds: the second after now finds what is due right now.
  const [due] = schedule(cron).previousRuns(1, new Date((Math.floor(now / 1000) + 1) * 1000))
  const at = due?.getTime()
  return at !== undefined && at > since && at <= now ? at : undefined
}

/** The first due time after now; undefined where there is none (the 31st of February). */
export const nextDue = (cron: string, now: EpochMs): EpochMs | undefined =>
  schedule(cron).nextRun(new Date(now))?.getTime()

const schedule = (cron: string): Cron => new Cron(cron, { timezone: 'UTC', paused: true })
