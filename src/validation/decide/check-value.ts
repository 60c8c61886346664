import type { ColumnType, JsonScalar } from '../../projects/index.ts'

/** What one value must be, whether it stands in a training table or in an inference request. */
export type ValueCheck = {
  type?: ColumnType
  /** Both ends belong to it; a null end is open. */
  range?: readonly [number | null, number | null]
  values?: readonly JsonScalar[]
  /** JavaScript, flag u; the whole value must match. */
  regex?: string
}

export type ValueFailure = { check: 'type' | 'range' | 'values' | 'regex'; problem: string }

/** What pandas reads as missing, so that a table means the same here and in the user's code. */
export const missingWords: readonly string[] = [
  ...['', '#N/A', '#N/A N/A', '#NA', '-1.#IND', '-1.#QNAN', '-NaN', '-nan', '1.#IND', '1.#QNAN'],
  ...['<NA>', 'N/A', 'NA', 'NULL', 'NaN', 'None', 'n/a', 'nan', 'null'],
]

const isMissingWord = new Set(missingWords)

/** A value that is not there: null, undefined, NaN. Whether that is allowed is another check's matter. */
export const isMissing = (value: unknown): boolean => value === null || value === undefined || Number.isNaN(value)

/** A cell of a text table → the value that is checked: null where it is missing, a number where the check wants one and it is one. */
export function readCell(text: string, check: Pick<ValueCheck, 'type' | 'range' | 'values'>): JsonScalar | null {
  const trimmed = text.trim()
  if (isMissingWord.has(trimmed)) return null
  if (check.type === 'boolean') return booleanWords.get(trimmed.toLowerCase()) ?? text
  const wantsNumber = check.type === 'number' || check.type === 'integer' || (check.range !== undefined && !check.type)
  if (wantsNumber && numberPattern.test(trimmed)) return Number(trimmed)
  return text
}

/**
 * Holds one value against one check; missing values pass (see isMissing).
 * @returns the first failure in the order type, range, values, regex; `problem` continues the sentence "VALUE …"
 */
export function checkValue(check: ValueCheck, value: unknown): ValueFailure | undefined {
  if (isMissing(value)) return undefined
  if (check.type && !hasType(check.type, value))
    return { check: 'type', problem: `is not ${check.type === 'integer' ? 'an' : 'a'} ${check.type}` }
  if (check.range && !inRange(check.range, value))
    return { check: 'range', problem: `is outside the range ${rangeText(check.range)}` }
  if (check.values && !check.values.some((allowed) => sameValue(allowed, value)))
    return { check: 'values', problem: `is none of the allowed values ${valuesText(check.values)}` }
  if (check.regex !== undefined && !wholeMatch(check.regex).test(String(value)))
    return { check: 'regex', problem: `does not match ${check.regex}` }
  return undefined
}

const numberPattern = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$|^[+-]?(?:inf|infinity)$/i
const booleanWords = new Map<string, boolean>([
  ['true', true],
  ['false', false],
  ['1', true],
  ['0', false],
  ['yes', true],
  ['no', false],
])

function hasType(type: ColumnType, value: unknown): boolean {
  switch (type) {
    case 'number':
      return typeof value === 'number' && Number.isFinite(value)
    case 'integer':
      return Number.isInteger(value)
    // MLflow takes 5 for a string, and a text table cannot tell the two apart.
    case 'string':
      return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    case 'boolean':
      return typeof value === 'boolean' || value === 0 || value === 1
  }
}

function inRange([low, high]: readonly [number | null, number | null], value: unknown): boolean {
  return typeof value === 'number' && (low === null || value >= low) && (high === null || value <= high)
}

/** A text table writes 1 and true as text, so the same text is the same value. */
const sameValue = (allowed: JsonScalar, value: unknown): boolean =>
  allowed === value ||
  String(allowed) === String(value) ||
  (typeof allowed === 'number' && typeof value === 'string' && value.trim() !== '' && Number(value) === allowed)

const rangeText = ([low, high]: readonly [number | null, number | null]): string =>
  low === null ? `up to ${high}` : high === null ? `from ${low} on` : `${low} to ${high}`

function valuesText(values: readonly JsonScalar[]): string {
  const shown = values.slice(0, 10).map((value) => JSON.stringify(value))
  return values.length > 10 ? `${shown.join(', ')}, … (${values.length})` : shown.join(', ')
}

const compiled = new Map<string, RegExp>()
function wholeMatch(regex: string): RegExp {
  const known = compiled.get(regex)
  if (known) return known
  const fresh = new RegExp(`^(?:${regex})$`, 'u')
  compiled.set(regex, fresh)
  return fresh
}
