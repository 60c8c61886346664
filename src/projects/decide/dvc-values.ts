import type { AppError } from '../../kernel/errors.ts'
import type { JsonScalar } from '../project-file.ts'

/** What `${…}` of a dvc.yaml may name: params.yaml, what `vars:` adds, and in a loop `item` and `key`. */
export type DvcValues = Readonly<Record<string, unknown>>

export const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const isScalar = (value: unknown): value is JsonScalar =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'

/** The value at `a.b[0].c`; undefined where there is none. */
export function valueAt(values: unknown, path: string): unknown {
  let value = values
  for (const part of path
    .trim()
    .split(/\.|\[(\d+)\]/)
    .filter(Boolean)) {
    if (Array.isArray(value)) value = value[Number(part)]
    else if (isMap(value) && Object.hasOwn(value, part)) value = value[part]
    else return undefined
  }
  return value
}

const reference = /\\?\$\{([^}]*)\}/g

/** `${a.b}` in a text becomes the value as DVC writes it; `\${…}` stays `${…}`. Throws what `fail` makes of an unknown or nested value. */
export function interpolated(text: string, values: DvcValues, fail: (text: string) => AppError): string {
  return text.replaceAll(reference, (whole, path: string) => {
    if (whole.startsWith('\\')) return whole.slice(1)
    const value = valueAt(values, path)
    if (value === undefined) throw fail(`found \${${path}}, which neither params.yaml nor vars: has`)
    if (!isScalar(value)) throw fail(`found \${${path}}, which is a list or a map; only single values are filled in`)
    return String(value)
  })
}

/** A text that is one reference becomes the value itself, whatever it is. */
export function resolved(written: unknown, values: DvcValues, fail: (text: string) => AppError): unknown {
  const whole = typeof written === 'string' ? /^\$\{([^}]*)\}$/.exec(written.trim()) : null
  if (!whole) return written
  const value = valueAt(values, whole[1]!)
  if (value === undefined) throw fail(`found \${${whole[1]}}, which neither params.yaml nor vars: has`)
  return value
}

/** Maps one into the other; later ones win. */
export function merged(a: Record<string, unknown>, b: Record<string, unknown>): Record<string, unknown> {
  const both = { ...a }
  for (const [key, value] of Object.entries(b)) {
    const before = both[key]
    both[key] = isMap(before) && isMap(value) ? merged(before, value) : value
  }
  return both
}

/** The single values below a map: `train.lr` → 0.1. */
export function scalarsIn(value: unknown, prefix: string): Record<string, JsonScalar> {
  if (isScalar(value)) return { [prefix]: value }
  if (!isMap(value)) return {}
  return Object.assign(
    {},
    ...Object.entries(value).map(([key, inner]) => scalarsIn(inner, prefix ? `${prefix}.${key}` : key)),
  )
}
