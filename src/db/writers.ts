import { sql } from 'kysely'
import { isPostgres } from './dialects/postgres.ts'
import type { Db, Tx } from './handle.ts'
import { atOnceAfterInput } from './turns.ts'

type Job = {
  work: (tx: Tx) => Promise<unknown>
  durable: boolean
  keep: (value: unknown) => void
  fail: (error: unknown) => void
}

/** More would make the first of them wait for the last. */
const mostTogether = 64
const longestTogetherMs = 10
/** After so long, who only reads comes first. */
const yieldAfterMs = 3

/** How a transaction is made to survive a power loss, or not to wait for the disk. */
export type Synchronising = {
  around: <T>(durable: boolean, transaction: () => Promise<T>) => Promise<T>
  within: (tx: Tx, durable: boolean) => Promise<unknown>
}

/**
 * All transactions of a process, one after the other. Group commit: those that wait at the same moment share one, each behind a
 * savepoint of its own, so that a commit's synchronisation is paid once for all of them. Nobody is answered before the commit. A work
 * that fails takes back only itself.
 */
export class WaitingWriters {
  readonly #db: Db
  readonly #synchronising: Synchronising
  readonly #waiting: Job[] = []
  #busy = false

  constructor(db: Db, synchronising: Synchronising) {
    this.#db = db
    this.#synchronising = synchronising
  }

  write<T>(work: (tx: Tx) => Promise<T>, durable: boolean): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ work, durable, keep: resolve as (value: unknown) => void, fail: reject })
      if (!this.#busy) void this.#serve()
    })
  }

  async #serve(): Promise<void> {
    this.#busy = true
    while (this.#waiting.length > 0) {
      // Requests that have arrived by now are read first, so that they come along.
      await atOnceAfterInput()
      await this.#together()
    }
    this.#busy = false
  }

  async #together(): Promise<void> {
    const { durable } = this.#waiting[0]!
    const taken: Job[] = []
    const kept: (() => void)[] = []
    try {
      await this.#synchronising.around(durable, () =>
        this.#db.transaction().execute(async (tx) => {
          await this.#synchronising.within(tx, durable)
          const isAlone = this.#waiting[1]?.durable !== durable
          if (isAlone) await plainly(tx, this.#take(taken), kept)
          else await this.#oneByOne(tx, durable, taken, kept)
        }),
      )
    } catch (error) {
      // The first one too where the transaction could not even begin.
      for (const job of taken.length > 0 ? taken : [this.#take(taken)]) job.fail(error)
      return
    }
    for (const tell of kept) tell()
  }

  async #oneByOne(tx: Tx, durable: boolean, taken: Job[], kept: (() => void)[]): Promise<void> {
    const began = performance.now()
    let rested = began
    while (this.#waiting[0]?.durable === durable && taken.length < mostTogether) {
      await behindSavepoint(tx, this.#take(taken), kept)
      const now = performance.now()
      if (now - began > longestTogetherMs) return
      if (now - rested < yieldAfterMs) continue
      await atOnceAfterInput()
      rested = performance.now()
    }
  }

  #take(taken: Job[]): Job {
    const job = this.#waiting.shift()!
    taken.push(job)
    return job
  }
}

async function plainly(tx: Tx, job: Job, kept: (() => void)[]): Promise<void> {
  const value = await job.work(tx)
  kept.push(() => job.keep(value))
}

/** Throws only where nothing of the transaction can be kept: a full disk or a lost connection ends all of it. */
async function behindSavepoint(tx: Tx, job: Job, kept: (() => void)[]): Promise<void> {
  await sql`savepoint one`.execute(tx)
  try {
    await plainly(tx, job, kept)
  } catch (error) {
    await sql`rollback to savepoint one`.execute(tx).catch(() => Promise.reject(error))
    job.fail(error)
  }
  // PostgreSQL forgets them with the transaction; there a round trip costs more than they do.
  if (!isPostgres(tx)) await sql`release savepoint one`.execute(tx)
}
