import { CronPattern } from 'croner'

const weekdays: Record<string, string> = {
  day: '*',
  weekday: '1-5',
  monday: '1',
  tuesday: '2',
  wednesday: '3',
  thursday: '4',
  friday: '5',
  saturday: '6',
  sunday: '0',
}

/**
 * `every monday 06:00`, `every day 02:30`, `every 6h`, `every 15m` or a cron expression of five fields → cron (UTC).
 * Undefined where the text is none of them. Spans must divide an hour or a day evenly: cron counts from midnight,
 * so `every 7h` would be a schedule with one short gap a day.
 */
export function scheduleToCron(text: string): string | undefined {
  const words = text.trim().toLowerCase().replace(/\s+/g, ' ')
  const at = /^every ([a-z]+) ([01]?\d|2[0-3]):([0-5]\d)$/.exec(words)
  if (at) {
    const day = Object.hasOwn(weekdays, at[1]!) ? weekdays[at[1]!] : undefined
    return day && `${Number(at[3])} ${Number(at[2])} * * ${day}`
  }
  const span = /^every (\d+) ?(m|h)$/.exec(words)
  if (span) return spanToCron(Number(span[1]), span[2] as 'm' | 'h')
  return isCron(words) ? text.trim().replace(/\s+/g, ' ') : undefined
}

function spanToCron(count: number, unit: 'm' | 'h'): string | undefined {
  if (count < 1) return undefined
  if (unit === 'm') return count < 60 && 60 % count === 0 ? `*/${count} * * * *` : undefined
  return count <= 24 && 24 % count === 0 ? `0 ${count === 24 ? '0' : `*/${count}`} * * *` : undefined
}

function isCron(text: string): boolean {
  if (text.split(' ').length !== 5) return false
  try {
    new CronPattern(text)
    return true
  } catch {
    return false
  }
}

export const scheduleForms = '"every monday 06:00", "every day 02:30", "every 6h" or a cron expression of five fields'
