/** The comparators of Keptn's criteria; `=` is exact. */
type Operator = '<=' | '<' | '=' | '>=' | '>'

export type KeptnCriterion = {
  /** undefined where the text begins with none of the five: nothing meets such a criterion. */
  operator: Operator | undefined
  value: number
  /** Compared with earlier results: a % or a sign makes it so. */
  relative: boolean
  percent: boolean
  increase: boolean
}

export const invalidCriterion = 'invalid criteria string'
export const unreadableTarget = 'could not parse criteria target value'

/** Keptn's own pattern; its brackets are a character class, so `|` slips through and fails at the number instead. */
const pattern = /^([<|=>]{1,2})([+|-]?\d*\.?\d*)(%?)/
/** In Keptn's order, in which `<=` is tried before `<` but `=` before `>=`. */
const operators: readonly Operator[] = ['<=', '<', '=', '>=', '>']

/**
 * A criterion as Keptn's lighthouse-service reads it: `<600`, `<=+10%`, `>=-5`, `=0`; spaces are dropped, a percentage
 * without a sign is an increase. Source: keptn/keptn, lighthouse-service, parseCriteriaString.
 * Returns Keptn's error text where it does not read it.
 */
export function parseKeptnCriterion(criteria: string): KeptnCriterion | { error: string } {
  let rest = criteria.replaceAll(' ', '')
  if (!pattern.test(rest)) return { error: invalidCriterion }

  const operator = operators.find((one) => rest.startsWith(one))
  rest = rest.slice(operator?.length ?? 0)
  const percent = rest.endsWith('%')
  if (percent) rest = rest.slice(0, -1)
  const sign = rest.startsWith('-') || rest.startsWith('+') ? rest[0] : undefined
  if (sign) rest = rest.slice(1)

  const value = parseGoFloat(rest)
  if (value === undefined) return { error: unreadableTarget }
  return { operator, value, relative: percent || sign !== undefined, percent, increase: sign ? sign === '+' : percent }
}

/**
 * The number that a relative criterion compares with, from the aggregate of earlier values.
 * `magnitude`: a percentage is of the aggregate's magnitude, so that +10 % of −10 is −9. Keptn's is of its value: −11.
 */
export function relativeTarget(criterion: KeptnCriterion, aggregate: number, magnitude: boolean): number {
  const upwards = criterion.increase !== (magnitude && criterion.percent && aggregate < 0)
  // The order of Keptn's operations, for the same last bit.
  if (criterion.percent) return (aggregate * (upwards ? 100 + criterion.value : 100 - criterion.value)) / 100
  return upwards ? aggregate + criterion.value : aggregate - criterion.value
}

/** Whether a value holds a criterion's bound; without an operator nothing does. */
export function meets(value: number, operator: Operator | undefined, target: number): boolean {
  switch (operator) {
    case '<':
      return value < target
    case '<=':
      return value <= target
    case '=':
      return value === target
    case '>=':
      return value >= target
    case '>':
      return value > target
    case undefined:
      return false
  }
}

export const aggregates = ['avg', 'p50', 'p90', 'p95'] as const
const quantiles: Readonly<Record<string, number>> = { p50: 0.5, p90: 0.9, p95: 0.95 }

/** Of at least one value. An unknown function gives Keptn's 0. Source: as above, aggregateValues. */
export function aggregate(values: readonly number[], how: string): number {
  if (how === 'avg') return mean(values)
  const p = Object.hasOwn(quantiles, how) ? quantiles[how] : undefined
  return p === undefined ? 0 : quantile(values, p)
}

function mean(values: readonly number[]): number {
  let sum = 0
  for (const value of values) sum += value
  return sum / values.length
}

/** At position p·(n+1), interpolated, clamped to the ends: Hyndman and Fan's type 6. */
function quantile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const position = p * (sorted.length + 1)
  if (position < 1) return sorted[0]!
  if (position >= sorted.length) return sorted.at(-1)!
  const lower = sorted[Math.floor(position) - 1]!
  const upper = sorted[Math.floor(position)]!
  return lower + (position - Math.floor(position)) * (upper - lower)
}

/** Go's strconv.ParseFloat for decimal text, which JavaScript's Number() reads differently (""→0, "0b1"→1). */
export function parseGoFloat(text: string): number | undefined {
  if (/^[+-]?(inf|infinity)$/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity
  if (/^nan$/i.test(text)) return Number.NaN
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return undefined
  const value = Number(text)
  return Number.isFinite(value) ? value : undefined
}
