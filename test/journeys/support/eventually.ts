import { setTimeout as sleep } from 'node:timers/promises'

/** What a look may say: anything falsy is "not yet". */
export type Seen<T> = T | undefined | null | false | ''

type Wish<T> = {
  /** Something true ends the wait and is the answer; an error counts as "not yet". */
  look: () => Promise<Seen<T>>
  /** What stands in the failure's message: the state as it was at the deadline. */
  explain: () => Promise<string>
  withinMs?: number
}

const pollMs = 100

/** Waits for what a user would see on the next look. On two busy cores a minute is soon over: deadlines are for what hangs. */
export async function eventually<T>(what: string, { look, explain, withinMs = 480_000 }: Wish<T>): Promise<T> {
  const deadline = Date.now() + withinMs
  let problem: unknown
  while (Date.now() < deadline) {
    try {
      const seen = await look()
      problem = undefined
      if (seen) return seen
    } catch (error) {
      problem = error
    }
    await sleep(pollMs)
  }
  throw new Error(`Not within ${withinMs / 1000} s: ${what}.\n${problem ?? ''}\n${await explain()}`)
}
