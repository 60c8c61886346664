/** A part of a whole, 0..1, never percent. */
export type Share = number

/** `5%` or `0.05` → 0.05; undefined where the text is neither or lies outside 0..1. */
export function parseShare(text: string | number): Share | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(%?)\s*$/.exec(String(text))
  if (!match) return undefined
  const share = Number(match[1]) / (match[2] ? 100 : 1)
  return share >= 0 && share <= 1 ? share : undefined
}

const byteUnits: Record<string, number> = {
  ...{ '': 1, B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 },
  ...{ KIB: 2 ** 10, MIB: 2 ** 20, GIB: 2 ** 30, TIB: 2 ** 40 },
}

/** `512MB`, `4 GiB` or `1000` → bytes; undefined where the text is no amount above nothing. */
export function parseBytes(text: string): number | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*$/.exec(text)
  const unit = match && byteUnits[match[2]!.toUpperCase()]
  const bytes = unit ? Math.round(Number(match[1]) * unit) : 0
  return bytes > 0 && Number.isSafeInteger(bytes) ? bytes : undefined
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
