import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, it } from 'vitest'
import { clockConformance } from '../../../ports/conformance/clock.ts'
import { FileTurnedClock } from './file-turned-clock.ts'
import { TurnableClock } from './turnable-clock.ts'

const folder = mkdtempSync(join(tmpdir(), 'modelwright-clock-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

clockConformance('clock/turnable', () => {
  const clock = new TurnableClock(1_700_000_000_000)
  return { clock, pass: (ms) => clock.turn(ms) }
})

clockConformance('clock/turnable by a file', () => ({
  clock: new FileTurnedClock(join(folder, 'absent')),
  pass: (ms) => sleep(ms),
}))

it('wakes sleepers in the order of their ends, each at its own time', async () => {
  const clock = new TurnableClock(0)
  const seen: string[] = []
  const asleep = [300, 100, 200].map((ms) => clock.sleep(ms).then(() => seen.push(`${ms} at ${clock.now()}`)))
  await clock.turn(1000)
  await Promise.all(asleep)
  expect(seen).toEqual(['100 at 100', '200 at 200', '300 at 300'])
  expect(clock.now()).toBe(1000)
})

it('lets a loop that sleeps again run as often as fits into one turn', async () => {
  const clock = new TurnableClock(0)
  const stop = new AbortController()
  const ticks: number[] = []
  const loop = (async () => {
    while (!stop.signal.aborted) {
      ticks.push(clock.now())
      await clock.sleep(10, stop.signal)
    }
  })()
  await clock.turn(35)
  expect(ticks).toEqual([0, 10, 20, 30])
  expect(clock.sleeping).toBe(1)
  stop.abort()
  await loop
  expect(clock.sleeping).toBe(0)
})

it('turns the clocks of all who read the same file, and wakes them within a poll', async () => {
  const path = join(folder, 'offset')
  const [one, other] = [new FileTurnedClock(path), new FileTurnedClock(path)]
  const before = other.now()
  const asleep = other.sleep(86_400_000)
  one.turn(80_000_000)
  one.turn(6_400_000)
  await asleep
  expect(other.now() - before).toBeGreaterThanOrEqual(86_400_000)
})
