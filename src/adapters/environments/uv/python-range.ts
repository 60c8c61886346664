import { AppError } from '../../../kernel/errors.ts'

/** The part of PEP 440's version specifiers that people write for Python itself: `>= 3.11, < 3.14`, `~= 3.11`, `3.12`, `== 3.11.*`. */
export function satisfies(version: string, range: string | undefined): boolean {
  return clausesOf(range).every((clause) => clause(numbersOf(version)))
}

type Clause = (version: number[]) => boolean

function clausesOf(range: string | undefined): Clause[] {
  return (range ?? '')
    .split(',')
    .map((text) => text.trim())
    .filter((text) => text !== '' && text !== '*')
    .map(clauseOf)
}

function clauseOf(text: string): Clause {
  const found = /^(>=|<=|>|<|==|!=|~=|)\s*(\d+(?:\.\d+)*)(\.\*)?$/.exec(text)
  if (!found) throw invalidRange(text)
  const operator = found[1]!
  const bound = numbersOf(found[2]!)
  const starts: Clause = (version) => compare(version.slice(0, bound.length), bound) === 0
  // A bare `3.11` means any 3.11, as .python-version files mean it.
  if (operator === '') return starts
  if (found[3] !== undefined) {
    if (operator === '==') return starts
    if (operator === '!=') return (version) => !starts(version)
    throw invalidRange(text)
  }
  if (operator === '~=') {
    if (bound.length < 2) throw invalidRange(text)
    return (version) =>
      compare(version, bound) >= 0 && compare(version.slice(0, bound.length - 1), bound.slice(0, -1)) === 0
  }
  const allowed = { '>=': [0, 1], '<=': [-1, 0], '>': [1], '<': [-1], '==': [0], '!=': [-1, 1] }[operator]!
  return (version) => allowed.includes(compare(version, bound))
}

const numbersOf = (version: string): number[] => version.split('.').map(Number)

/** -1, 0 or 1; missing parts count as 0. */
export function compareVersions(a: string, b: string): number {
  return compare(numbersOf(a), numbersOf(b))
}

function compare(a: number[], b: number[]): number {
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0)
    if (difference !== 0) return Math.sign(difference)
  }
  return 0
}

const invalidRange = (text: string): AppError =>
  new AppError(
    'EnvironmentFailed',
    `"${text}" is no range of Python versions.`,
    'Write, for example, version: ">= 3.11, < 3.14".',
  )
