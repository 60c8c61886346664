import { formatDuration } from '../kernel/time.ts'
import { formatMetric } from '../kernel/units.ts'

/** `12 s ago`, `3 min ago`, `2 h ago`, `4 d ago`; what lies ahead: `in 3 min`. */
export function timeAgo(at: number, now: number): string {
  const distance = Math.abs(now - at)
  const [count, unit] =
    distance < 60_000
      ? [Math.floor(distance / 1000), 's']
      : distance < 3_600_000
        ? [Math.floor(distance / 60_000), 'min']
        : distance < 86_400_000
          ? [Math.floor(distance / 3_600_000), 'h']
          : [Math.floor(distance / 86_400_000), 'd']
  if (count === 0) return 'just now'
  return at > now ? `in ${count} ${unit}` : `${count} ${unit} ago`
}

/** ISO 8601 to the second, UTC. */
export const timeText = (at: number): string => new Date(at).toISOString().replace(/\.\d+Z$/, 'Z')

export const tookText = (from: number | undefined, to: number): string =>
  from === undefined ? '' : formatDuration(Math.max(0, to - from))

/** A difference with its sign. */
export function signed(value: number | undefined): string {
  if (value === undefined) return ''
  if (value === 0) return '±0'
  return value > 0 ? `+${formatMetric(value)}` : `−${formatMetric(-value)}`
}

export const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`

export const shortCommit = (commit: string): string => commit.slice(0, 12)

/** Ids of one hour begin alike (UUIDv7): the end tells them apart. */
export const shortId = (id: string): string => id.slice(-8)

export const count = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`
