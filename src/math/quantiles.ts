/** Ascending copy of finite numbers, as the functions of this room expect it. */
export const ascending = (values: readonly number[]): Float64Array => Float64Array.from(values).sort()

/**
 * numpy's default quantile ('linear', Hyndman and Fan's type 7), to the last bit: interpolates at (n − 1)·share.
 *
 * @param sorted ascending, finite, at least one value (NaN for none)
 * @param share 0..1
 */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0 || !(share >= 0 && share <= 1)) return Number.NaN
  const position = (sorted.length - 1) * share
  const below = Math.floor(position)
  const low = sorted[below]!
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!
  const t = position - below
  // From the nearer end, as numpy's _lerp: keeps the result monotonic in `share`.
  return t < 0.5 ? low + (high - low) * t : high - (high - low) * (1 - t)
}

/** The eleven values at 0, 10 %, …, 100 %. */
export const deciles = (sorted: ArrayLike<number>): number[] =>
  Array.from({ length: 11 }, (_, i) => quantile(sorted, i / 10))

/**
 * How many values fall into each cell of the line cut at `edges`: (−∞, e₀), [e₀, e₁), …, [eₖ, ∞).
 *
 * @param edges strictly ascending; may be empty (one cell)
 * @returns edges.length + 1 counts
 */
export function countPerCell(values: ArrayLike<number>, edges: readonly number[]): number[] {
  const counts = new Array<number>(edges.length + 1).fill(0)
  for (let i = 0; i < values.length; i++) counts[cellOf(values[i]!, edges)]!++
  return counts
}

/** The index of the cell that holds `value`: the number of edges ≤ value. */
export function cellOf(value: number, edges: readonly number[]): number {
  let low = 0
  let high = edges.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (edges[middle]! <= value) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * The equal-width cells of numpy.histogram_bin_edges(values, 'sturges'), as its edges with both ends: log₂ n + 1 cells.
 * The last cell of a histogram over them is closed on both sides.
 *
 * @param values finite, at least one
 */
export function sturgesEdges(values: ArrayLike<number>): number[] {
  let { low, high } = extent(values)
  if (low === high) {
    low -= 0.5
    high += 0.5
    return [low, high]
  }
  let width = (high - low) / (Math.log2(values.length) + 1)
  // numpy never cuts whole numbers finer than 1. It knows them by their type, we by their values.
  if (width < 1 && Array.prototype.every.call(values, Number.isInteger)) width = 1
  const cells = Math.ceil((high - low) / width)
  const step = (high - low) / cells
  return Array.from({ length: cells + 1 }, (_, i) => (i === cells ? high : low + i * step))
}

/** numpy.histogram(values, edges): cells [e₀, e₁), …, [eₖ₋₁, eₖ]; values outside are not counted. */
export function histogram(values: ArrayLike<number>, edges: readonly number[]): number[] {
  const last = edges.length - 1
  const counts = new Array<number>(last).fill(0)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (value < edges[0]! || value > edges[last]!) continue
    counts[Math.min(cellOf(value, edges) - 1, last - 1)]!++
  }
  return counts
}

/** The smallest double above a finite value. */
export function nextAbove(value: number): number {
  if (value === 0) return Number.MIN_VALUE
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, value)
  view.setBigInt64(0, view.getBigInt64(0) + (value > 0 ? 1n : -1n))
  return view.getFloat64(0)
}

/** Least and greatest value; ±Infinity for none. */
export function extent(values: ArrayLike<number>): { low: number; high: number } {
  let low = Number.POSITIVE_INFINITY
  let high = Number.NEGATIVE_INFINITY
  for (let i = 0; i < values.length; i++) {
    if (values[i]! < low) low = values[i]!
    if (values[i]! > high) high = values[i]!
  }
  return { low, high }
}

/** Mean and population standard deviation (divisor n), in two passes; NaN for no values. */
export function meanAndStd(values: ArrayLike<number>): { mean: number; std: number } {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i]!
  const mean = sum / values.length
  let squares = 0
  for (let i = 0; i < values.length; i++) squares += (values[i]! - mean) ** 2
  return { mean, std: Math.sqrt(squares / values.length) }
}
