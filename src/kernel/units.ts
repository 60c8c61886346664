/** A part of a whole, 0..1, never percent. */
export type Share = number

/** `5%` or `0.05` → 0.05; undefined where the text is neither or lies outside 0..1. */
export function parseShare(text: string | number): Share | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(%?)\s*$/.exec(String(text))
  if (!match) return undefined
  const share = Number(match[1]) / (match[2] ? 100 : 1)
  return share >= 0 && share <= 1 ? share : undefined
}

/** Bytes → `850 B`, `12.4 kB`, `3.2 MB` (powers of 1000). */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

/** Four significant digits, so that a column of metrics can be compared without noise; `–` where there is none, `NaN` for JSON's null. */
export function formatMetric(value: number | string | null | undefined): string {
  if (value === undefined) return '–'
  if (value === null) return 'NaN'
  if (typeof value === 'string' || !Number.isFinite(value)) return String(value)
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value)
  return Math.abs(value) >= 1e6 || Math.abs(value) < 1e-3
    ? value.toExponential(2)
    : String(Number(value.toPrecision(4)))
}
