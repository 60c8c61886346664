import { logGamma } from './special-functions.ts'

/**
 * P(Dₙ ≥ d) for the two-sided one-sample Kolmogorov–Smirnov statistic of n values; relative precision about 1e-9 and better.
 * Method by region, after Simard and L'Ecuyer, J. Stat. Software 39 (2011), with scipy.stats.kstwo's limits:
 * Durbin's matrix for small n·d², Pelz and Good's expansion for large n, twice the one-sided tail where that is exact or as good.
 *
 * @param n sample size, a positive integer (NaN elsewhere; scipy's effective size 0 has no distribution)
 * @param d the statistic, 0..1
 */
export function kolmogorovTail(n: number, d: number): number {
  if (!(n >= 1)) return Number.NaN
  if (d >= 1) return 0
  if (n * d <= 0.5) return 1
  const scaled = n * d * d
  if (scaled >= 370) return 0
  if (d >= 0.5 || n * d >= n - 1 || scaled >= (n <= 140 ? 4 : 2.2)) return Math.min(1, 2 * oneSidedTail(n, d))
  const byMatrix = n <= 140 || (n <= 100_000 && n * d ** 1.5 <= 1.4)
  return 1 - Math.min(1, byMatrix ? durbinMatrix(n, d) : pelzGood(n, d))
}

// Birnbaum and Tingey (1951): d·Σ C(n, j)·(d + j/n)^(j−1)·(1 − d − j/n)^(n−j), all terms positive.
function oneSidedTail(n: number, d: number): number {
  const logN = logGamma(n + 1)
  let sum = 0
  for (let j = 0; j <= n; j++) {
    const rest = 1 - d - j / n
    if (rest <= 0) break
    const logTerm =
      logN - logGamma(j + 1) - logGamma(n - j + 1) + (j - 1) * Math.log(d + j / n) + (n - j) * Math.log(rest)
    sum += Math.exp(logTerm)
  }
  return d * sum
}

type Scaled = { cells: Float64Array; exponent: number }

// Marsaglia, Tsang, Wang, J. Stat. Software 8 (2003): P(Dₙ < d) is the middle cell of (n!/nⁿ)·Hⁿ, powers of ten kept apart.
function durbinMatrix(n: number, d: number): number {
  const k = Math.ceil(n * d)
  const h = k - n * d
  const size = 2 * k - 1
  const power = matrixPower({ cells: durbinH(size, h), exponent: 0 }, n, size)
  let value = power.cells[(k - 1) * size + k - 1]!
  let exponent = power.exponent
  for (let i = 1; i <= n; i++) {
    value = (value * i) / n
    if (value < 1e-140) {
      value *= 1e140
      exponent -= 140
    }
  }
  return value * 10 ** exponent
}

function durbinH(size: number, h: number): Float64Array {
  const inverseFactorial = new Float64Array(size + 1).fill(1)
  for (let i = 1; i <= size; i++) inverseFactorial[i] = inverseFactorial[i - 1]! / i
  const cells = new Float64Array(size * size)
  for (let row = 0; row < size; row++) {
    for (let column = 0; column <= Math.min(row + 1, size - 1); column++) {
      cells[row * size + column] = inverseFactorial[row - column + 1]!
    }
  }
  for (let i = 0; i < size; i++) {
    const edge = (1 - h ** (i + 1)) * inverseFactorial[i + 1]!
    cells[i * size] = edge
    cells[(size - 1) * size + (size - 1 - i)] = edge
  }
  const corner = 1 - 2 * h ** size + Math.max(0, 2 * h - 1) ** size
  cells[(size - 1) * size] = corner * inverseFactorial[size]!
  return cells
}

function matrixPower(base: Scaled, n: number, size: number): Scaled {
  if (n === 1) return base
  const half = matrixPower(base, Math.floor(n / 2), size)
  const square = rescaled({ cells: multiply(half.cells, half.cells, size), exponent: 2 * half.exponent }, size)
  if (n % 2 === 0) return square
  return rescaled({ cells: multiply(square.cells, base.cells, size), exponent: square.exponent }, size)
}

function rescaled(matrix: Scaled, size: number): Scaled {
  const middle = matrix.cells[((size - 1) / 2) * (size + 1)]!
  if (middle <= 1e140) return matrix
  return { cells: matrix.cells.map((cell) => cell * 1e-140), exponent: matrix.exponent + 140 }
}

function multiply(a: Float64Array, b: Float64Array, size: number): Float64Array {
  const product = new Float64Array(size * size)
  for (let i = 0; i < size; i++) {
    for (let k = 0; k < size; k++) {
      const factor = a[i * size + k]!
      if (factor === 0) continue
      for (let j = 0; j < size; j++) product[i * size + j]! += factor * b[k * size + j]!
    }
  }
  return product
}

// Pelz and Good, J. R. Stat. Soc. B 38 (1976): K₀ + K₁/√n + K₂/n + K₃/n^1.5 with z = d√n, in the form that converges
// fast for small z (theta functions transformed). P(Dₙ ≤ d).
function pelzGood(n: number, d: number): number {
  const z = Math.sqrt(n) * d
  const z2 = z * z
  const z4 = z2 * z2
  const z6 = z4 * z2
  const z8 = z4 * z4
  const pi2 = Math.PI ** 2
  const pi4 = pi2 * pi2
  const pi6 = pi4 * pi2
  const root2Pi = Math.sqrt(2 * Math.PI)
  const terms = Math.ceil((16 * z) / Math.PI)
  const sums = [0, 0, 0, 0] as [number, number, number, number]
  let extra2 = 0
  let extra3 = 0
  for (let k = terms; k >= 1; k--) {
    const odd = 2 * k - 1
    const s = odd * odd
    const weight = Math.exp((-pi2 * s) / (8 * z2))
    sums[0] += weight
    sums[1] += weight * (-z2 + (pi2 / 4) * s)
    sums[2] += weight * (6 * z6 + 2 * z4 + (((2 * z4 - 5 * z2) * pi2) / 4) * s + ((pi4 * (1 - 2 * z2)) / 16) * s * s)
    sums[3] +=
      weight *
      (-30 * z6 -
        90 * z8 +
        ((pi2 * (135 * z4 - 96 * z6)) / 4) * s +
        ((pi4 * (-60 * z2 + 212 * z4)) / 16) * s * s +
        ((pi6 * (5 - 30 * z2)) / 64) * s ** 3)
    const weightAll = Math.exp((-pi2 * k * k) / (2 * z2))
    extra2 += k * k * weightAll
    extra3 += (3 * z2 - pi2 * k * k) * k * k * weightAll
  }
  const k0 = (root2Pi / z) * sums[0]
  const k1 = (root2Pi / (6 * z4)) * sums[1]
  const k2 = (root2Pi / (72 * z ** 7)) * sums[2] - ((pi2 * root2Pi) / (36 * z ** 3)) * extra2
  const k3 = (root2Pi / (6480 * z ** 10)) * sums[3] + ((pi2 * root2Pi) / (216 * z6)) * extra3
  return k0 + k1 / Math.sqrt(n) + k2 / n + k3 / n ** 1.5
}
