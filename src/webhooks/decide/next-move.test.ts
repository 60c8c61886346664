import { describe, expect, it } from 'vitest'
import type { Attempt } from '../webhook.ts'
import { mostAttempts, nextMove } from './next-move.ts'

const now = Date.UTC(2026, 0, 1)
const answered = (status: number, retryAfter?: string): Attempt => ({
  kind: 'answered',
  status,
  body: 'no',
  ...(retryAfter === undefined ? {} : { retryAfter }),
})
const unreachable: Attempt = { kind: 'unreachable', reason: 'no route' }

describe('after an attempt', () => {
  it.each([200, 201, 204, 299])('with %i the delivery is done', (status) => {
    expect(nextMove(answered(status), 1, now, 0)).toEqual({ to: 'delivered' })
  })

  it.each([429, 500, 502, 503, 504])('with %i it is tried again', (status) => {
    expect(nextMove(answered(status), 1, now, 0)).toMatchObject({ to: 'waiting', at: now + 1000 })
  })

  it.each([400, 401, 403, 404, 410, 501])('with %i it has failed', (status) => {
    expect(nextMove(answered(status), 1, now, 0)).toEqual({
      to: 'failed',
      error: `The receiver answered ${status}: no`,
    })
  })

  it.each([301, 302, 307, 308])('with the redirect %i it has failed, saying why', (status) => {
    expect(nextMove(answered(status), 1, now, 0)).toMatchObject({
      to: 'failed',
      error: expect.stringContaining('not followed') as string,
    })
  })

  it('that was refused it is not made again', () => {
    expect(nextMove({ kind: 'refused', reason: 'private' }, 1, now, 0)).toEqual({ to: 'failed', error: 'private' })
  })

  it('pauses double from one second to a minute', () => {
    const pauses = [1, 2, 3, 4, 5, 6, 7].map((attempts) => {
      const move = nextMove(unreachable, attempts, now, 0)
      return move.to === 'waiting' ? (move.at - now) / 1000 : undefined
    })
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60])
  })

  it('the eighth time without an answer was the last', () => {
    expect(mostAttempts).toBe(8)
    expect(nextMove(unreachable, 8, now, 0)).toEqual({ to: 'failed', error: 'no route' })
  })

  it('chance adds up to a second, so that not all come back at once', () => {
    expect(nextMove(unreachable, 2, now, 0.5)).toMatchObject({ at: now + 2500 })
  })

  it.each([
    ['7', 7000],
    ['0', 0],
    [new Date(now + 90_000).toUTCString(), 90_000],
    [new Date(now - 90_000).toUTCString(), 0],
    ['86400', 3_600_000],
    ['soon', 1000],
    ['-5', 1000],
  ])('Retry-After %j waits %i ms', (retryAfter, ms) => {
    expect(nextMove(answered(503, retryAfter), 1, now, 0)).toMatchObject({ to: 'waiting', at: now + ms })
  })
})
