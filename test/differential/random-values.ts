import { type Rng, seededRng } from '../../src/math/rng.ts'

/** Values that find faults: the ordinary ones often, so that calls get far enough, the edges among them. */
export class RandomValues {
  readonly #rng: Rng

  constructor(seed: number | string) {
    this.#rng = seededRng(seed)
  }

  below = (bound: number): number => this.#rng.below(bound)

  chance = (share: number): boolean => this.#rng.uniform() < share

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!
  }

  some<T>(most: number, make: () => T): T[] {
    return Array.from({ length: this.below(most + 1) }, make)
  }

  /** The value, or (seldom) nothing: for fields that may be left out. */
  maybe = <T>(share: number, make: () => T): T | undefined => (this.chance(share) ? make() : undefined)

  key = (): string => (this.chance(0.9) ? this.of(plainKeys) : this.of(oddTexts))

  text = (): string => (this.chance(0.75) ? this.of(plainTexts) : this.of(oddTexts))

  number = (): unknown => (this.chance(0.6) ? this.below(7) - 3 + this.of([0, 0.5]) : this.of(oddNumbers))

  integer = (): unknown => (this.chance(0.75) ? this.below(6) : this.of(oddIntegers))

  anything = (): unknown =>
    this.of<unknown>([null, true, false, 0, -1, 1.5, '', 'x', '7', [], ['x'], [1], [null], {}, { key: 'a' }, [{}]])
}

const plainKeys = ['a', 'b', 'c', 'loss', 'lr', 'm.1', 'dotted/path', 'with space', 'Upper']
const plainTexts = ['x', 'y', 'abc', '0.1', '1', 'Abc', 'a b', 'value-1', 'z_1', '100%']
const oddTexts = [
  '',
  ' ',
  "it's",
  'say "so"',
  'both \' and "',
  '`ticks`',
  'back\\slash',
  '%',
  '_',
  'a%b',
  'ünï 漢字 🙂',
  'line\nbreak',
  '\ttab',
  '\u0001',
  '\u007f',
  'e\u0301',
  '\u202eright to left',
  'null',
  'None',
  'NaN',
  'true',
  '-0',
  '1e5',
  '../up',
  '/rooted',
  'a//b',
  '.',
  'a/../b',
  '{"json": 1}',
  "'; drop table runs; --",
  'x'.repeat(251),
  'k'.repeat(256),
  'v'.repeat(501),
  'w'.repeat(5001),
  'é'.repeat(6001),
  'long '.repeat(1700),
]
const oddNumbers: unknown[] = [
  'NaN',
  'Infinity',
  '-Infinity',
  0,
  -0,
  1e308,
  -1e308,
  5e-324,
  0.1,
  1 / 3,
  2 ** 53,
  1e16,
  123456789.123,
  '5',
  '1.5e3',
  'inf',
  'abc',
  '',
  true,
  null,
  [1],
  { value: 1 },
]
const oddIntegers: unknown[] = [
  -1,
  -7,
  '3',
  '-2',
  ' 4 ',
  1.5,
  2.0,
  '1.0',
  2 ** 31,
  2 ** 53 - 1,
  '9007199254740991',
  'x',
  '',
  true,
  null,
  [],
]
