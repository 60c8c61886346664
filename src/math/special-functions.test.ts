import { expect, test } from 'vitest'
import { chiSquareTail, erfc, logGamma, normalCdf, normalQuantile, upperGamma } from './special-functions.ts'

// Expected values: scipy 1.17.1 (gammaln, gammaincc, chi2.sf, erfc, norm.cdf, norm.ppf).
const near = (actual: number, expected: number, relative = 1e-12) =>
  expect(Math.abs(actual - expected)).toBeLessThanOrEqual(relative * Math.abs(expected))

test.each([
  [0.1, 2.252712651734206],
  [0.5, 0.5723649429247],
  [1.5, -0.12078223763524526],
  [3.3, 0.9870985778947343],
  [10, 12.801827480081469],
  [171.2, 707.60092684767],
  [5000.5, 37586.88488728106],
  [1e6, 12815504.569147611],
])('ln Γ(%d) is scipy’s', (x, expected) => near(logGamma(x), expected))

test.each([
  [0.5, 0.3, 0.4385780260809997],
  [1.5, 0.01, 0.9992522446606088],
  [1.5, 340, 4.5573033343319185e-147],
  [2, 13.4, 2.1818075214862808e-5],
  [50, 30, 0.999481108537452],
  [50, 90, 1.6494985017178526e-6],
  [100, 100, 0.48670120172085135],
  [1e4, 10100, 0.15865124955282037],
])('Q(%d, %d) is scipy’s', (a, x, expected) => near(upperGamma(a, x), expected, 1e-10))

test.each([
  [680.5101648222724, 3, 3.5325590311858656e-147],
  [3.84, 1, 0.05004352124870519],
  [1500, 199, 3.648225995330051e-198],
  [0, 4, 1],
])('the chi-squared tail at %d with %d degrees of freedom is scipy’s', (x, dof, expected) =>
  near(chiSquareTail(x, dof), expected, 1e-10),
)

test.each([
  [-2, 1.9953222650189528],
  [-0.3, 1.3286267594591274],
  [0, 1],
  [0.1, 0.8875370839817152],
  [1, 0.15729920705028516],
  [5, 1.5374597944280347e-12],
  [20, 5.395865611607901e-176],
])('erfc(%d) is scipy’s', (x, expected) => near(erfc(x), expected))

test.each([
  [-10, 7.61985302416047e-24],
  [-1.96, 0.024997895148220435],
  [0, 0.5],
  [1, 0.8413447460685429],
  [3, 0.9986501019683699],
])('the normal distribution at %d is scipy’s', (z, expected) => near(normalCdf(z), expected))

test.each([
  [1e-10, -6.361340902404056],
  [0.025, -1.9599639845400545],
  [0.4, -0.2533471031357997],
  [0.975, 1.959963984540054],
  [0.999999, 4.753424308817087],
])('the normal quantile of %d is scipy’s', (p, expected) => near(normalQuantile(p), expected, 1e-10))

test('outside their domain they answer NaN', () => {
  expect([logGamma(0), logGamma(-1.5), upperGamma(0, 1), upperGamma(1, -1), normalQuantile(1.1)]).toEqual(
    new Array(5).fill(Number.NaN),
  )
})
