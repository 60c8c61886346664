/**
 * Exact Shapley values of a linear model, its columns taken as independent: a column's value is weight × (row − mean).
 * Adds to `target`, [players × outputs]; the sum over the players is model(row) − model(means).
 * @param weights [outputs × columns]
 * @param playerOf the player (0…) of each column
 */
export function addLinear(
  weights: Float64Array,
  row: ArrayLike<number>,
  means: ArrayLike<number>,
  { playerOf, outputs, target }: { playerOf: ArrayLike<number>; outputs: number; target: Float64Array },
): void {
  const columns = weights.length / outputs
  for (let output = 0; output < outputs; output++)
    for (let column = 0; column < columns; column++) {
      const weight = weights[output * columns + column]!
      // What the model does not look at says nothing, even where it is missing.
      if (weight !== 0) target[playerOf[column]! * outputs + output]! += weight * (row[column]! - means[column]!)
    }
}

/** What the model answers for a row of columns, one per output. */
export function linearAnswer(weights: Float64Array, intercepts: Float64Array, row: ArrayLike<number>): Float64Array {
  const columns = weights.length / intercepts.length
  return intercepts.map((intercept, output) => {
    let sum = intercept
    for (let column = 0; column < columns; column++) {
      const weight = weights[output * columns + column]!
      if (weight !== 0) sum += weight * row[column]!
    }
    return sum
  })
}
