import { expect, it } from 'vitest'
import { seededRng } from '../../math/rng.ts'
import type { Datatype } from '../tensor.ts'
import { bytesFromJson } from './tensor-json.ts'

const rng = seededRng('tensors as JSON')
const below = (count: number): number => Math.floor(rng.uniform() * count)
const pick = <T>(items: readonly T[]): T => items[below(items.length)]!
// The ends of single and double precision, and how far beyond them rounding still leads back.
const numbers = [
  '0',
  '-0',
  '1.5',
  '1e400',
  '-1e400',
  '5e-324',
  '3.4028235677973366e38',
  '3.4028235677973367e38',
  '1e308',
]
const others = ['null', '"1"', 'true', '[]', '{}', '9007199254740993']

const floats: [Datatype, (values: number[]) => Float32Array | Float64Array, number][] = [
  ['FP32', (values) => Float32Array.from(values), 3.4028235677973366e38],
  ['FP64', (values) => Float64Array.from(values), Number.MAX_VALUE],
]
const read = (text: string, datatype: Datatype, shape: number[]): Buffer | string => {
  try {
    return bytesFromJson({ name: 'x', datatype, shape }, JSON.parse(text))
  } catch (error) {
    return (error as Error).message
  }
}

it('reads every table as its numbers one by one would be, and refuses the first that is none', () => {
  const seen = { tables: 0, refusals: 0 }
  for (let round = 0; round < 3_000; round++) {
    const [depth, rows, width] = [1 + below(3), below(4), below(4)]
    const words = Array.from({ length: rows * width }, () =>
      rng.uniform() < 0.03 ? pick(others) : rng.uniform() < 0.2 ? pick(numbers) : String((rng.uniform() - 0.5) * 1e3),
    )
    const list = (parts: string[]) => `[${parts.join(pick([',', ' ,\n', ', ']))}]`
    const table = Array.from({ length: rows }, (_, row) => list(words.slice(row * width, (row + 1) * width)))
    const text = depth === 1 ? list(words) : depth === 2 ? list(table) : list(table.map((row) => list([row])))
    const shape = depth === 1 ? [words.length] : depth === 2 ? [rows, width] : [rows, 1, width]
    for (const [datatype, arrayOf, largest] of floats) {
      const values = words.map((word) => JSON.parse(word) as unknown)
      const wrong = values.find((one) => one !== null && !(typeof one === 'number' && Math.abs(one) <= largest))
      const found = read(text, datatype, shape)
      if (Array.isArray(values[0])) expect(found).toMatch(/nests|holds/)
      else if (wrong !== undefined) expect(found).toMatch(/^Input "x" is of FP(32|64), which .* is not\.$/)
      else
        expect(found).toEqual(
          Buffer.from(arrayOf(values.map((one) => (one === null ? Number.NaN : Number(one)))).buffer),
        )
      seen[typeof found === 'string' ? 'refusals' : 'tables']++
    }
  }
  expect(Math.min(seen.tables, seen.refusals)).toBeGreaterThan(300)
})

it('refuses what nests unevenly or is not of the shape, and says how many elements it found', () => {
  for (const text of ['[[1,2],[3]]', '[[1],2]', '[[[1]],[2]]', '[[[1],[2]],[[3]]]'])
    expect(read(text, 'FP64', [2, 1])).toContain('nests unevenly')
  expect(read('[1,[2]]', 'FP64', [2])).toContain('which [2] is not')
  expect(read('[[1,2],[3,4]]', 'FP64', [3])).toBe('Input "x" holds 4 elements, its shape [3] asks for 3.')
  for (const text of ['[]', '[[],[]]', '[[[]]]']) expect(read(text, 'FP64', [0])).toEqual(Buffer.alloc(0))
  expect(read('{}', 'FP64', [0])).toContain('has no list')
  expect(read(`${'['.repeat(40)}${']'.repeat(40)}`, 'FP64', [1])).toContain('nests more than 32 lists')
})
