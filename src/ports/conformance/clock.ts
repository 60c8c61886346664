import { describe, expect, it } from 'vitest'
import type { Clock } from '../clock.ts'

/** `pass` lets the time pass on the clock: turned, or waited for. */
export function clockConformance(
  name: string,
  make: () => { clock: Clock; pass: (ms: number) => Promise<void> },
): void {
  describe(`${name} keeps the clock's contract`, () => {
    it('tells integer milliseconds that do not run backwards', async () => {
      const { clock, pass } = make()
      const before = clock.now()
      await pass(20)
      expect(Number.isInteger(before)).toBe(true)
      expect(clock.now() - before).toBeGreaterThanOrEqual(19)
    })

    it('ends a sleep when its time has passed, and not before', async () => {
      const { clock, pass } = make()
      const before = clock.now()
      let wokenAt = Number.POSITIVE_INFINITY
      const asleep = clock.sleep(60).then(() => {
        wokenAt = clock.now()
      })
      await pass(10)
      // On a busy machine much more may have passed.
      expect(wokenAt - before).toBeGreaterThanOrEqual(59)
      await pass(60)
      await asleep
      expect(wokenAt - before).toBeGreaterThanOrEqual(59)
      expect(wokenAt).toBeLessThan(Number.POSITIVE_INFINITY)
    })

    it('does not sleep for nothing or less', async () => {
      const { clock } = make()
      await clock.sleep(0)
      await clock.sleep(-5)
    })

    it('ends a sleep early and without error when the signal aborts, before or during it', async () => {
      const { clock } = make()
      const stop = new AbortController()
      const asleep = clock.sleep(3_600_000, stop.signal)
      stop.abort(new Error('shutting down'))
      await asleep
      await clock.sleep(3_600_000, stop.signal)
    })

    it('can sleep longer than the longest timer', async () => {
      const { clock, pass } = make()
      const stop = new AbortController()
      let woken = false
      const asleep = clock.sleep(90 * 86_400_000, stop.signal).then(() => {
        woken = true
      })
      await pass(10)
      expect(woken).toBe(false)
      stop.abort()
      await asleep
    })
  })
}
