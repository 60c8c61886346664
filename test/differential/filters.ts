import type { World } from './world.ts'

/** What a filter of one search may speak of. */
export type Grammar = {
  numbers: readonly string[]
  texts: readonly string[]
  /** Ids and the like: =, != and lists. */
  exact?: readonly string[]
  values?: () => readonly string[]
  nullable?: boolean
}

/** A filter of the grammar, seldom of something that only looks like it. */
export function filter(world: World, grammar: Grammar): string {
  const { values } = world
  if (values.chance(0.06)) return values.of(broken)
  const count = 1 + (values.chance(0.35) ? 1 + values.below(2) : 0)
  const joint = () => (values.chance(0.95) ? ' AND ' : values.of([' and ', ' OR ', ' && ', ', ']))
  let text = comparison(world, grammar)
  for (let index = 1; index < count; index++) text += joint() + comparison(world, grammar)
  return text
}

function comparison(world: World, grammar: Grammar): string {
  const { values } = world
  const space = () => values.of([' ', ' ', ' ', '', '  '])
  if (values.chance(0.04)) return values.of(strange)
  const sort = values.below(10)
  if (sort < 4 && grammar.numbers.length > 0)
    return `${values.of(grammar.numbers)}${space()}${values.of(numberOperators)}${space()}${values.of(numbers)}`
  if (sort < 8 || !grammar.exact) {
    const word = values.of(grammar.texts)
    if (grammar.nullable && values.chance(0.12))
      return `${word} ${values.of(['IS NULL', 'IS NOT NULL', 'is null', 'is not  null'])}`
    return `${word} ${values.of(textOperators)} ${literal(world, grammar)}`
  }
  const word = values.of(grammar.exact)
  if (values.chance(0.5)) return `${word} ${values.of(['=', '!='])} ${literal(world, grammar)}`
  const list = Array.from({ length: 1 + values.below(3) }, () => literal(world, grammar)).join(', ')
  return `${word} ${values.of(['IN', 'NOT IN', 'in'])} ${values.chance(0.95) ? `(${list})` : list}`
}

function literal(world: World, grammar: Grammar): string {
  const { values } = world
  const own = grammar.values?.() ?? []
  const text = own.length > 0 && values.chance(0.5) ? values.of(own) : values.of(literals)
  if (values.chance(0.06)) return text
  const quote = values.chance(0.85) ? "'" : '"'
  return `${quote}${text}${quote}`
}

const numberOperators = ['=', '!=', '<', '<=', '>', '>=', '>', '<', '<>', '==', 'LIKE']
const textOperators = ['=', '!=', 'LIKE', 'ILIKE', '=', '!=', 'like', '<', 'IN']
const numbers = ['0', '1', '-1', '0.5', '2', '1e3', '-1.5', '.5', '1000', 'NaN', "'1'", 'abc', '']
const literals = [
  'x',
  'y',
  'abc',
  'A%',
  '%b%',
  '%',
  '_',
  'a_c',
  '',
  '0.1',
  'ABC',
  'ünï%',
  '1',
  'a b',
  '%1',
  '\\',
  'a\\',
  'RUNNING',
]
const strange = [
  'foo = 1',
  'metrics = 1',
  'metrics. = 1',
  'params.a',
  '= 1',
  'tags.`a` = `b`',
  'params."a" = \'x\'',
  "params.`with space` = 'x'",
  "'x' = params.a",
  'metrics.a > params.a',
  "params.a = 'x' 'y'",
  'metrics.a BETWEEN 1 AND 2',
  "NOT params.a = 'x'",
  "(params.a = 'x')",
  "unknown.a = 'x'",
]
const broken = [
  '',
  ' ',
  'AND',
  "params.a = 'x' AND",
  "'",
  '"',
  '(',
  '--',
  ';',
  "params.a = 'x'; drop table runs",
  '%',
  'x',
  "AND params.a = 'x'",
]

export function orderBy(world: World, columns: readonly string[]): string[] | undefined {
  const { values } = world
  if (values.chance(0.4)) return undefined
  const list = values.some(2, () => {
    if (values.chance(0.05)) return values.of(['foo', 'metrics.a UP', '', 'params.a ASC DESC', 'metrics', '1', 'a b c'])
    return `${values.of(columns)}${values.of(['', ' ASC', ' DESC', ' asc', ' desc', ' DESC'])}`
  })
  return [...new Set(list)]
}

export const pageSize = (world: World): unknown =>
  world.values.maybe(0.7, () =>
    world.values.chance(0.85)
      ? 1 + world.values.below(5)
      : world.values.of([0, -1, 50_000, 50_001, 10 ** 7, 1000, 1001, '3', 'x', 1.5]),
  )
