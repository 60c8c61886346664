export type Changed<T> = { name: string; a?: T; b?: T }

/** Entries that the two do not share, by name in the order of the alphabet. Two NaN are the same. */
export function differences<T>(
  a: Readonly<Record<string, T>>,
  b: Readonly<Record<string, T>>,
  same: (a: T, b: T) => boolean = Object.is,
): Changed<T>[] {
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort()
  return names.flatMap((name) => {
    const inA = Object.hasOwn(a, name)
    const inB = Object.hasOwn(b, name)
    if (inA && inB && same(a[name]!, b[name]!)) return []
    return [{ name, ...(inA ? { a: a[name]! } : {}), ...(inB ? { b: b[name]! } : {}) }]
  })
}

/** How many entries both have with the same value. */
export function sharedCount<T>(
  a: Readonly<Record<string, T>>,
  b: Readonly<Record<string, T>>,
  same: (a: T, b: T) => boolean = Object.is,
): number {
  return Object.keys(a).filter((name) => Object.hasOwn(b, name) && same(a[name]!, b[name]!)).length
}

export type MetricValue = number | 'NaN'
export type MetricDifference = { name: string; a?: MetricValue; b?: MetricValue; difference?: number }

/** All metrics of both, with b − a where both have a number. */
export function metricDifferences(
  a: Readonly<Record<string, MetricValue>>,
  b: Readonly<Record<string, MetricValue>>,
): MetricDifference[] {
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort()
  return names.map((name) => {
    const [left, right] = [a[name], b[name]]
    return {
      name,
      ...(left === undefined ? {} : { a: left }),
      ...(right === undefined ? {} : { b: right }),
      ...(typeof left === 'number' && typeof right === 'number' ? { difference: right - left } : {}),
    }
  })
}

/** JSON has no NaN; an infinity does not come (tracking keeps the largest double in its place). */
export const metricValue = (value: number | null): MetricValue =>
  value === null || Number.isNaN(value) ? 'NaN' : value

export type FileChange = { path: string; change: 'added' | 'changed' | 'removed' }

/** What lies between two trees, by path. */
export function fileChanges(
  a: readonly { path: string; blob: string; mode: string }[],
  b: readonly { path: string; blob: string; mode: string }[],
): FileChange[] {
  const record = (entries: typeof a) =>
    Object.fromEntries(entries.map(({ path, blob, mode }) => [path, `${mode} ${blob}`]))
  return differences(record(a), record(b)).map(({ name, ...sides }) => ({
    path: name,
    change: sides.a === undefined ? 'added' : sides.b === undefined ? 'removed' : 'changed',
  }))
}
