import { bug } from '../kernel/errors.ts'

/** Counts → shares of their sum; NaN throughout where the sum is 0. */
export function sharesOf(counts: readonly number[]): number[] {
  const total = sumOf(counts)
  return counts.map((count) => count / total)
}

/** Shares whose empty cells count as `fill`. They are not normalised again. */
export const fillEmpty = (shares: readonly number[], fill: number): number[] =>
  shares.map((share) => (share === 0 ? fill : share))

/** 0 for none. */
export const sumOf = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0)

/** Throws Internal where two distributions are not over the same cells: to compare them would be meaningless. */
export function checkSameCells(reference: readonly number[], current: readonly number[]): void {
  if (reference.length === current.length) return
  throw bug(`Two distributions over ${reference.length} and ${current.length} cells were to be compared.`)
}
