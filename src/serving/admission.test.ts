import { beforeEach, describe, expect, it } from 'vitest'
import { Admission, type AdmissionLimits } from './admission.ts'

describe('the door of a model', () => {
  let now: number
  let limits: AdmissionLimits
  let isReady: boolean
  let door: Admission
  let begun: string[]
  const ends = new Map<string, () => void>()
  beforeEach(() => {
    now = 1_000
    limits = { concurrency: 2, queue: 1 }
    isReady = true
    begun = []
    door = new Admission({ now: () => now, limits: () => limits, computing: () => 1, isReady: () => isReady })
  })

  const ask = (name: string, signal?: AbortSignal) =>
    door
      .run(() => {
        begun.push(name)
        return new Promise<string>((resolve) => ends.set(name, () => resolve(name)))
      }, signal)
      .catch((error: Error & { status: number; retryAfterSeconds: number }) => [error.status, error.retryAfterSeconds])
  const end = async (name: string) => {
    ends.get(name)!()
    await new Promise(setImmediate)
  }

  it('lets so many in at once, keeps so many waiting in the order in which they came, and tells the others to come again', async () => {
    limits = { concurrency: 2, queue: 2 }
    const answers = ['a', 'b', 'c', 'd'].map((name) => ask(name))
    expect(await ask('e')).toEqual([429, 30])
    expect([begun, door.waiting, door.inside, door.turnedAway]).toEqual([['a', 'b'], 2, 2, 1])
    await end('b')
    expect(begun).toEqual(['a', 'b', 'c'])
    const late = ask('f')
    await end('a')
    expect(begun).toEqual(['a', 'b', 'c', 'd'])
    await end('c')
    for (const name of ['d', 'f']) await end(name)
    expect(await Promise.all([...answers, late])).toEqual(['a', 'b', 'c', 'd', 'f'])
    expect([door.waiting, door.inside]).toEqual([0, 0])
  })

  it('says 503 where the model cannot answer now', async () => {
    isReady = false
    const answers = ['a', 'b', 'c'].map((name) => ask(name))
    expect((await ask('d')) as number[]).toEqual([503, 30])
    for (const name of ['a', 'b', 'c']) await end(name)
    await Promise.all(answers)
  })

  it('without a number of its own lets all in that the model takes, counts those that wait with it, and leaves out those that waited for it', async () => {
    limits = { queue: 2 }
    isReady = false
    const early = ['a', 'b', 'c', 'd', 'e'].map((name) => ask(name))
    isReady = true
    const later = ['f', 'g', 'h'].map((name) => ask(name))
    expect(begun).toHaveLength(8)
    expect(((await ask('i')) as number[])[0]).toBe(429)
    for (const name of ['f', 'g', 'h', 'a', 'b', 'c', 'd', 'e']) await end(name)
    expect((await Promise.all([...early, ...later])).join('')).toBe('abcdefgh')
  })

  it('turns away nobody where nobody may wait and there is room', async () => {
    limits = { concurrency: 1, queue: 0 }
    const first = ask('a')
    expect(((await ask('b')) as number[])[0]).toBe(429)
    await end('a')
    expect(await first).toBe('a')
    const again = ask('c')
    await end('c')
    expect(await again).toBe('c')
  })

  it('asks to come again after what those who are here take at the present pace', async () => {
    limits = { concurrency: 1, queue: 3 }
    for (let count = 0; count < 20; count++) {
      now += 1_000
      const one = ask('one')
      await end('one')
      await one
    }
    const answers = ['a', 'b', 'c', 'd'].map((name) => ask(name))
    const [status, seconds] = (await ask('e')) as number[]
    expect(status).toBe(429)
    expect(seconds).toBeGreaterThanOrEqual(4)
    expect(seconds).toBeLessThanOrEqual(6)
    for (const name of ['a', 'b', 'c', 'd']) await end(name)
    await Promise.all(answers)
  })

  it('tells who waited past the deadline 503, who is computed past it 504, and goes on with the next', async () => {
    limits = { concurrency: 1, queue: 5, deadlineMs: 500 }
    const computed = ask('a')
    const waiting = ask('b')
    now += 400
    const next = ask('c')
    now += 150
    door.expire(now)
    expect(((await computed) as number[])[0]).toBe(504)
    expect(((await waiting) as number[])[0]).toBe(503)
    // What has begun cannot be stopped: its place is free when it ends.
    expect(begun).toEqual(['a'])
    await end('a')
    expect(begun).toEqual(['a', 'c'])
    await end('c')
    expect(await next).toBe('c')
  })

  it('does not compute for who hung up while waiting', async () => {
    limits = { concurrency: 1, queue: 5 }
    const hangUp = new AbortController()
    const first = ask('a')
    const gone = ask('b', hangUp.signal)
    hangUp.abort()
    expect(((await gone) as number[])[0]).toBe(503)
    await end('a')
    expect([await first, begun]).toEqual(['a', ['a']])
  })

  it('lets more in as soon as more are allowed', async () => {
    limits = { concurrency: 1, queue: 5 }
    const answers = ['a', 'b', 'c'].map((name) => ask(name))
    limits = { concurrency: 3, queue: 5 }
    door.expire(now)
    expect(begun).toEqual(['a', 'b', 'c'])
    for (const name of ['a', 'b', 'c']) await end(name)
    await Promise.all(answers)
  })
})
