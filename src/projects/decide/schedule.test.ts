import { Cron } from 'croner'
import { expect, it } from 'vitest'
import { scheduleToCron } from './schedule.ts'

it.each([
  ['every monday 06:00', '0 6 * * 1'],
  ['every Sunday 23:59', '59 23 * * 0'],
  ['every day 02:30', '30 2 * * *'],
  ['every weekday 9:05', '5 9 * * 1-5'],
  ['every 6h', '0 */6 * * *'],
  ['every 24 h', '0 0 * * *'],
  ['every 15m', '*/15 * * * *'],
  ['30 4 1 * *', '30 4 1 * *'],
  ['  0   6 * *  MON ', '0 6 * * MON'],
])('%s means %s', (text, cron) => expect(scheduleToCron(text)).toBe(cron))

it.each([
  ...['every 7h', 'every 0h', 'every 90m', 'every constructor 06:00', 'every monday', 'every monday 24:00'],
  ...['60 * * * *', '* * * *', '* * * * * *', '@daily', '', 'monday 06:00', 'every 6h and a half'],
])('%s is no schedule', (text) => expect(scheduleToCron(text)).toBeUndefined())

it('gives what croner runs at the moment that the words name', () => {
  const next = new Cron(scheduleToCron('every monday 06:00')!, { timezone: 'UTC' }).nextRun(
    new Date('2026-01-01T00:00:00Z'),
  )
  expect(next?.toISOString()).toBe('2026-01-05T06:00:00.000Z')
})
