import { formatDuration } from '../../src/kernel/time.ts'
import { formatMetric } from '../../src/kernel/units.ts'

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'short' })
const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'long' })

const spans = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
] as const

/** `3 min. ago`; below a minute `just now`, since a ticking second draws the eye for nothing. */
export function timeAgo(at: number, now: number): string {
  const passed = at - now
  for (const [unit, ms] of spans) if (Math.abs(passed) >= ms) return relative.format(Math.trunc(passed / ms), unit)
  return 'just now'
}

export const timeText = (at: number): string => absolute.format(at)

export const elapsed = (from: number, to: number): string => formatDuration(Math.max(0, to - from))

/** Shares as percent, no finer than a person can use: `5 %`, `0.3 %`. */
export const percent = (share: number): string => `${Number((share * 100).toPrecision(2))} %`

/** A difference with its sign (a true minus, as wide as a plus). */
export const signed = (value: number): string =>
  value === 0 ? '±0' : `${value > 0 ? '+' : '−'}${formatMetric(Number(Math.abs(value).toPrecision(2)))}`

export const shortCommit = (commit: string): string => commit.slice(0, 8)

/** The 12 digits that people read; kernel/digest.ts needs Node's crypto and stays out of the browser. */
export const shortDigest = (digest: string): string => digest.replace(/^sha256:/, '').slice(0, 12)

export const count = (n: number, one: string, many = `${one}s`): string =>
  `${n.toLocaleString('en')} ${n === 1 ? one : many}`

/** Two digits: PSI of a window is no surer than that. */
export const psiText = (psi: number | null): string => (psi === null ? '–' : String(Number(psi.toPrecision(2))))

/** A sentence with its numbers at the digits that the tables show. */
export const withShortNumbers = (text: string): string =>
  text.replace(/\d+\.\d{5,}/g, (number) => formatMetric(Number(number)))

/** Git's `Name <address>` without the address. */
export const personName = (author: string): string => author.replace(/\s*<[^>]*>\s*$/, '') || author
