/**
 * The grammar of a bound, as gates, data checks and rollouts write it in modelwright.yaml:
 *   `>= 0.95`  `<= 1%`  `== 1`                          a fixed number (a percentage is a share: 1% = 0.01)
 *   `>= champion`  `>= champion - 0.005`                the champion's value, or an absolute distance from it
 *   `<= champion + 10%`                                 a distance in the champion's magnitude |champion|
 *   `>= champion * 0.9`                                 a multiple of the champion's value
 * A list of bounds is ANDed, `{ any: [...] }` is ORed, `{ all: [...] }` names the AND; they nest.
 */
export const comparators = ['>=', '<=', '==', '!=', '>', '<'] as const
export type Comparator = (typeof comparators)[number]

export type BoundTarget =
  | { kind: 'fixed'; value: number }
  | { kind: 'champion'; offset: number; share: number; factor: number }

export type Bound = { text: string; comparator: Comparator; target: BoundTarget }

export type BoundsExpr = Bound | { all: BoundsExpr[] } | { any: BoundsExpr[] }

const allowed =
  'a comparison such as ">= 0.95", "<= 1%", ">= champion - 0.005", "<= champion + 10%" or ">= champion * 0.9"'
const numberPattern = String.raw`(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?`
const boundPattern = /^\s*(>=|<=|==|!=|>|<)\s*(.*?)\s*$/
const fixedPattern = new RegExp(`^([+-]?${numberPattern})\\s*(%?)$`)
const championPattern = new RegExp(`^champion(?:\\s*([-+*])\\s*(${numberPattern})\\s*(%?))?$`)

/**
 * One bound from its text. Never throws: a problem says what was found and what is allowed.
 * The target of a champion bound is `champion * factor + offset + |champion| * share`.
 */
export function parseBound(text: string): { ok: true; bound: Bound } | { ok: false; problem: string } {
  const split = boundPattern.exec(text)
  if (!split) return problem(withoutComparator(text))
  const comparator = split[1] as Comparator
  const right = split[2]!
  const target = parseTarget(right)
  if (!target) {
    return problem(
      `found ${JSON.stringify(right)} after ${comparator} in ${JSON.stringify(text)}; allowed is ${allowed}`,
    )
  }
  return { ok: true, bound: { text: text.trim(), comparator, target } }
}

/** Every single bound of an expression, in the order written. */
export function boundsIn(expression: BoundsExpr): Bound[] {
  if ('all' in expression) return expression.all.flatMap(boundsIn)
  if ('any' in expression) return expression.any.flatMap(boundsIn)
  return [expression]
}

export const isRelative = (bound: Bound): boolean => bound.target.kind === 'champion'

/** Exact IEEE comparison; with a NaN on either side nothing holds but `!=`. */
export function compares(value: number, comparator: Comparator, target: number): boolean {
  switch (comparator) {
    case '>=':
      return value >= target
    case '<=':
      return value <= target
    case '==':
      return value === target
    case '!=':
      return value !== target
    case '>':
      return value > target
    case '<':
      return value < target
  }
}

/** The number to compare with. `champion` may be left out for a fixed bound; a champion bound without it gives NaN. */
export function targetOf(bound: Bound, champion: number | undefined): number {
  const { target } = bound
  if (target.kind === 'fixed') return target.value
  if (champion === undefined) return Number.NaN
  // A share of nothing is skipped, so that an infinite champion stays comparable: |∞| · 0 would be NaN.
  const distance = target.share === 0 ? 0 : Math.abs(champion) * target.share
  return (target.factor === 1 ? champion : champion * target.factor) + target.offset + distance
}

function parseTarget(right: string): BoundTarget | undefined {
  const fixed = fixedPattern.exec(right)
  if (fixed) return finite({ kind: 'fixed', value: numberOf(fixed[1]!, fixed[2]!) })
  const relative = championPattern.exec(right)
  if (!relative) return undefined
  const still = { kind: 'champion', offset: 0, share: 0, factor: 1 } as const
  const [, operator, digits, percent] = relative
  if (operator === undefined || digits === undefined) return still
  const amount = numberOf(digits, percent ?? '')
  if (operator === '*') return finite({ ...still, factor: amount })
  const signed = operator === '-' ? -amount : amount
  return finite(percent ? { ...still, share: signed } : { ...still, offset: signed })
}

const numberOf = (digits: string, percent: string): number => Number(digits) / (percent === '%' ? 100 : 1)

const finite = (target: BoundTarget): BoundTarget | undefined =>
  Object.values(target).every((part) => typeof part !== 'number' || Number.isFinite(part)) ? target : undefined

function withoutComparator(text: string): string {
  const start = /^\s*(=>|=<|=|~|<>|≥|≤)/.exec(text)?.[1]
  const meant = { '=>': '>=', '=<': '<=', '=': '==', '<>': '!=', '≥': '>=', '≤': '<=' }[start ?? '']
  const hint = meant ? ` (did you mean "${meant}"?)` : ''
  return `found ${JSON.stringify(text)}, which starts with no comparator${hint}; allowed is ${allowed}, with ${comparators.join(' ')}`
}

const problem = (text: string): { ok: false; problem: string } => ({ ok: false, problem: text })
