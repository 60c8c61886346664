import type { MetricPoint } from '../tracking.ts'

export type StoredValue = { value: number; is_nan: 0 | 1 }

/** NaN as 0 with a mark, ±Infinity as the largest double of its sign: a database column holds neither. As MLflow does. */
export function storedValue(value: number): StoredValue {
  if (Number.isNaN(value)) return { value: 0, is_nan: 1 }
  if (value === Number.POSITIVE_INFINITY) return { value: Number.MAX_VALUE, is_nan: 0 }
  if (value === Number.NEGATIVE_INFINITY) return { value: -Number.MAX_VALUE, is_nan: 0 }
  return { value: value === 0 ? 0 : value, is_nan: 0 }
}

/** The inverse of `storedValue` but for ±Infinity, which stays the largest double. */
export const readValue = (stored: { value: number; is_nan: number }): number =>
  stored.is_nan === 1 ? Number.NaN : stored.value

type Ordered = Pick<MetricPoint, 'step' | 'timestamp'> & { value: number }

/** Whether a point replaces another as a metric's latest: by step, then time, then value. `value` is the stored one. */
export function isLater(point: Ordered, than: Ordered): boolean {
  if (point.step !== than.step) return point.step > than.step
  if (point.timestamp !== than.timestamp) return point.timestamp > than.timestamp
  return point.value > than.value
}
