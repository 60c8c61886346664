/**
 * Exponential moving average, corrected for its start as TensorBoard's: the first value is the first point, not a pull towards 0.
 * Gaps stay gaps. `weight` 0 ≤ w < 1; 0 smooths nothing.
 */
export function smoothed(values: readonly (number | null)[], weight: number): (number | null)[] {
  let sum = 0
  let mass = 0
  return values.map((value) => {
    if (value === null) return null
    sum = sum * weight + value * (1 - weight)
    mass = mass * weight + (1 - weight)
    return sum / mass
  })
}
