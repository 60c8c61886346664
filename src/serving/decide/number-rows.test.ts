import { expect, it } from 'vitest'
import { seededRng } from '../../math/rng.ts'
import { readNumberRows } from './number-rows.ts'

const rng = seededRng('rows of numbers')
const below = (count: number): number => Math.floor(rng.uniform() * count)
const pick = <T>(items: readonly T[]): T => items[below(items.length)]!
const digits = (most: number): string => Array.from({ length: 1 + below(most) }, () => below(10)).join('')
const bits = new DataView(new ArrayBuffer(8))

/** Any double as JavaScript writes it, or digits as nobody would. */
function written(): string {
  const kind = below(6)
  if (kind === 0) {
    bits.setUint32(0, below(2 ** 32))
    bits.setUint32(4, below(2 ** 32))
    const value = bits.getFloat64(0)
    return Number.isFinite(value) ? String(value) : '0'
  }
  if (kind === 1) return String((rng.uniform() - 0.5) * 10 ** below(12))
  if (kind === 2) return `${pick(['', '-'])}${String(Number(digits(18)))}`
  if (kind === 3) return `${pick(['', '-'])}${below(10 ** (1 + below(9)))}.${digits(25)}`
  if (kind === 4) return `${pick(['', '-'])}0.${'0'.repeat(below(20))}${digits(22)}`
  return pick([
    '0',
    '-0',
    '-0.0',
    '1E-400',
    '4.9e-324',
    '9007199254740993',
    '0.1000000000000000055511151231257827',
    '1e23',
  ])
}

const bodyOf = (rows: string[][], comma = ',', space = ''): string =>
  `${space}{${space}"${pick(['inputs', 'instances'])}"${space}:${space}[${rows
    .map((row) => `[${space}${row.join(comma)}${space}]`)
    .join(comma)}${space}]${space}}${pick(['', '\n', ' '])}`

it('reads the very doubles that JSON.parse reads, and tells where each row stands', () => {
  for (let round = 0; round < 3_000; round++) {
    const width = 1 + below(6)
    const rows = Array.from({ length: 1 + below(5) }, () => Array.from({ length: width }, written))
    const space = pick(['', '', ' ', '  '])
    const body = Buffer.from(bodyOf(rows, `${space},${pick(['', ' '])}`, space))
    const numbers = readNumberRows(body)!
    const wanted = rows.map((row) => row.map((word) => JSON.parse(word) as number))
    expect(numbers.lists, body.toString()).toStrictEqual(wanted)
    expect(numbers.shape).toEqual([rows.length, width])
    for (const [row, own] of wanted.entries()) {
      const span = body.subarray(numbers.spans[2 * row], numbers.spans[2 * row + 1])
      expect(JSON.parse(span.toString())).toStrictEqual(own)
    }
  }
})

it('rounds to the nearest double what lies beside the middle of two', () => {
  for (let round = 0; round < 3_000; round++) {
    const low = 2 ** 52 + below(2 ** 32)
    const middle = `${below(2) === 0 ? low : low * 2 ** -20}`
    const exact = (BigInt(low) * 2n + 1n) * 5n
    const text = `${exact / 10n}.${exact % 10n}${pick(['', '0', '00000001'])}`
    const near = `0.${String(exact * 10n + BigInt(below(3)) - 1n)}`
    const words = [text, near, middle]
    expect(readNumberRows(Buffer.from(`{"inputs":[[${words.join()}]]}`.padEnd(120)))!.lists).toStrictEqual([
      words.map((word) => JSON.parse(word) as number),
    ])
  }
})

it('takes more rows, and rows as long, as fit into the memory that it uses again', () => {
  for (const [rows, width] of [
    [9_000, 3],
    [2, 16_384],
  ] as const) {
    const table = Array.from({ length: rows }, (_, row) => Array.from({ length: width }, (_, at) => row - at / 8))
    expect(readNumberRows(Buffer.from(JSON.stringify({ inputs: table })))!.lists).toStrictEqual(table)
  }
})

it('leaves to the reader of all JSON whatever is not plain, or wrong', () => {
  const bad = [
    '',
    '1.',
    '.5',
    '+1',
    '01',
    '-',
    '-01',
    '00',
    '1e',
    '1e400',
    '-1e400',
    '0x1',
    '1 2',
    '1\n',
    '\t1',
    'null',
    '"1"',
    'NaN',
  ]
  for (const word of [...bad, 'true', '[1]', '{}', '1.5.5', '1_0', '１', '1-', '--1', '0.1.', '1.e5', 'Infinity'])
    for (const row of [[word], ['1.25', word], [word, '1.25'], ['1.25', word, '-3']])
      expect(readNumberRows(Buffer.from(`{"inputs":[[${row.join()}]]}          `)), row.join()).toBeUndefined()
  for (const body of [
    '{"inputs":[]}',
    '{"inputs":[[]]}',
    '{"inputs":[[1],[1,2]]}',
    '{"inputs":[[1,2],[1]]}',
    '{"inputs":[[1],2]}',
    '{"inputs":[1,[2]]}',
    '{"inputs":[[1],]}',
    '{"inputs":[[1,]]}',
    '{"inputs":[[1]],"params":{}}',
    '{"inputs":[[1]],"inputs":[[2]]}',
    '{"inputs":[[1]]}}',
    '{"inputs":[[1]]',
    '{"inputs":[[1]',
    '{"inputs":[[1',
    '{"inputs":[[[1]]]}',
    '{"inputs":[[1]]}\u00a0',
    '\ufeff{"inputs":[[1]]}',
    '{"\\u0069nputs":[[1]]}',
    '{"input":[[1]]}',
    '{"inputs":{"a":[1]}}',
    '[[1]]',
    '',
    JSON.stringify({ inputs: [Array(16_385).fill(1)] }),
  ])
    expect(readNumberRows(Buffer.from(body)), body.slice(0, 60)).toBeUndefined()
  // A byte that is no letter at all.
  expect(readNumberRows(Buffer.from('{"inputs":[[1]]}\xa0', 'latin1'))).toBeUndefined()
  for (const code of [0x80, 0xb0, 0xba, 0xff])
    expect(
      readNumberRows(Buffer.from(`{"inputs":[[1.2${String.fromCharCode(code)}4,1.55555]]}${' '.repeat(30)}`, 'latin1')),
    ).toBeUndefined()
})
