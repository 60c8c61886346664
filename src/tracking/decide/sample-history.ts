/**
 * Which of `total` points, in their order, stand for all of them in a plot of at most `limit`: the first of each of `limit` even
 * buckets (the larger buckets first), with the last point in place of the last bucket's where that is not it.
 * Ascending indices, `min(total, limit)` of them. `total` ≥ 0, `limit` ≥ 1.
 * Source: mlflow 3.17.2, store/tracking/sqlalchemy_store.py (_sample_rows_with_window_functions: NTILE).
 */
export function sampleIndices(total: number, limit: number): number[] {
  if (total <= limit) return Array.from({ length: total }, (_, index) => index)
  const small = Math.floor(total / limit)
  const larger = total % limit
  const firsts = Array.from({ length: limit }, (_, bucket) => bucket * small + Math.min(bucket, larger))
  firsts[limit - 1] = total - 1
  return firsts
}
