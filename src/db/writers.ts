import { sql } from 'kysely'
import { isPostgres } from './dialects/postgres.ts'
import type { Db, Tx } from './handle.ts'

type Job = { work: (tx: Tx) => Promise<unknown>; keep: (value: unknown) => void; fail: (error: unknown) => void }

/** More would make the first of them wait for the last. */
const mostTogether = 64

/**
 * Group commit: requests that wait at the same moment share one transaction, each behind a savepoint of its own, so that a commit's
 * synchronisation is paid once for all of them. Nobody is answered before the commit. A work that fails takes back only itself.
 * `prepare` is said once in each transaction, before the works.
 */
export class WaitingWriters {
  readonly #db: Db
  readonly #prepare: ((tx: Tx) => Promise<unknown>) | undefined
  #waiting: Job[] = []
  #busy = false

  constructor(db: Db, prepare?: (tx: Tx) => Promise<unknown>) {
    this.#db = db
    this.#prepare = prepare
  }

  write<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ work, keep: resolve as (value: unknown) => void, fail: reject })
      if (!this.#busy) void this.#serve()
    })
  }

  async #serve(): Promise<void> {
    this.#busy = true
    while (this.#waiting.length > 0) {
      // Requests that have arrived by now are read first, so that they come along.
      await new Promise((resolve) => setImmediate(resolve))
      await this.#together(this.#waiting.splice(0, mostTogether))
    }
    this.#busy = false
  }

  async #together(jobs: readonly Job[]): Promise<void> {
    const kept: (() => void)[] = []
    try {
      await this.#db.transaction().execute(async (tx) => {
        await this.#prepare?.(tx)
        if (jobs.length === 1) {
          const value = await jobs[0]!.work(tx)
          kept.push(() => jobs[0]!.keep(value))
        } else for (const job of jobs) await behindSavepoint(tx, job, kept)
      })
    } catch (error) {
      for (const job of jobs) job.fail(error)
      return
    }
    for (const tell of kept) tell()
  }
}

/** Throws only where nothing of the transaction can be kept: a full disk or a lost connection ends all of it. */
async function behindSavepoint(tx: Tx, job: Job, kept: (() => void)[]): Promise<void> {
  await sql`savepoint one`.execute(tx)
  try {
    const value = await job.work(tx)
    kept.push(() => job.keep(value))
  } catch (error) {
    await sql`rollback to savepoint one`.execute(tx).catch(() => Promise.reject(error))
    job.fail(error)
  }
  if (isPostgres(tx)) return
  await sql`release savepoint one`.execute(tx)
}
