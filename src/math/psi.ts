import { checkSameCells, fillEmpty, sharesOf } from './cells.ts'

/** What an empty cell counts as, so that ln() stays finite: the figure that Evidently and most scorecards use. */
export const emptyCellShare = 1e-4

/**
 * The population stability index Σ (r − c)·ln(r / c) over matching cells; 0 for equal distributions, symmetric, no upper bound.
 * By custom < 0.1 is stable and > 0.2 a shift (Siddiqi, Credit Risk Scorecards, 2006). Empty cells count as 1e-4, so
 * a cell that is empty on one side alone adds much: see Evidently's cat_new, where a new category makes 2.9 of 2.96.
 *
 * @param reference counts (or shares) per cell; their sum must be positive
 * @param current counts (or shares) of the same cells (Internal where their number differs)
 */
export function psi(reference: readonly number[], current: readonly number[]): number {
  return psiOfShares(fillEmpty(sharesOf(reference), emptyCellShare), fillEmpty(sharesOf(current), emptyCellShare))
}

/** The same over shares whose empty cells are already filled; all must be positive. */
export function psiOfShares(reference: readonly number[], current: readonly number[]): number {
  checkSameCells(reference, current)
  let sum = 0
  for (let i = 0; i < reference.length; i++) {
    sum += (reference[i]! - current[i]!) * Math.log(reference[i]! / current[i]!)
  }
  return sum
}
