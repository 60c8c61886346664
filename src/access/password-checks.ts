import { AppError } from '../kernel/errors.ts'
import type { EpochMs } from '../kernel/time.ts'
import { type Failures, waitMs } from './decide/back-off.ts'
import { hashPassword, type PasswordCost, passwordMatches } from './password.ts'

const atOnce = 2
const waitingAtMost = 64
const namesKept = 10_000

/**
 * Checks passwords slowly enough for guessers: a wait per name, and few at once for all names, so that a flood of them neither
 * takes all processors nor all of the threads that files are read with.
 */
export class PasswordChecks {
  readonly #cost: PasswordCost | undefined
  readonly #failures = new Map<string, Failures>()
  readonly #waiting: (() => void)[] = []
  #running = 0
  #nobodysHash: Promise<string> | undefined

  constructor(cost: PasswordCost | undefined) {
    this.#cost = cost
  }

  /** A name that nobody has takes as long as one with a wrong password. @throws AppError TooManyAttempts */
  async matches(name: string, password: string, hash: string | undefined, now: EpochMs): Promise<boolean> {
    const wait = waitMs(this.#failures.get(name), now)
    if (wait > 0) throw tooMany(`The password for ${name} was wrong too often.`, Math.ceil(wait / 1000))
    // Counted before it is known: otherwise a thousand guesses at once would be one.
    const failed = this.#count(name, now)
    const matches = await this.#inTurn(async () => passwordMatches(password, hash ?? (await this.#nobody())))
    if (!matches || hash === undefined) return false
    if (this.#failures.get(name) === failed) this.#failures.delete(name)
    return true
  }

  #count(name: string, now: EpochMs): Failures {
    const failures = { count: (this.#failures.get(name)?.count ?? 0) + 1, lastAt: now }
    this.#failures.delete(name)
    if (this.#failures.size >= namesKept) this.#failures.delete(this.#failures.keys().next().value!)
    this.#failures.set(name, failures)
    return failures
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= atOnce) {
      if (this.#waiting.length >= waitingAtMost) throw tooMany('Too many passwords are being checked.', 1)
      await new Promise<void>((turn) => this.#waiting.push(turn))
    } else this.#running++
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }

  #nobody(): Promise<string> {
    this.#nobodysHash ??= hashPassword('whatever nobody has', this.#cost)
    return this.#nobodysHash
  }
}

const tooMany = (what: string, seconds: number): AppError =>
  new AppError('TooManyAttempts', what, `Try again in ${seconds} s.`)
