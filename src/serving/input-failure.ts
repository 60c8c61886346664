import { nearestWord } from '../kernel/nearest-word.ts'
import { checkValue, isMissing } from '../validation/index.ts'
import type { InputCheck, InputContract } from './gateway-state.ts'

/** The rows of a request; `named` is false where the client sent values without column names (then the names are 0, 1, …). */
export type InputRows = { rows: Record<string, unknown>[]; named: boolean; written?: Written }

/**
 * A body of JSON and where in it the list of rows without names stands, which member it is or between which bytes each row lies, in turn:
 * the log copies their text as it stands.
 */
export type Written = { body: Buffer; member: string } | { body: Buffer; spans: readonly number[] }

/** `missing`, `type`, `range`, `value` and `pattern` are of one value and a declared check; the others of the row's columns. */
export type InputProblemKind =
  | 'missing'
  | 'type'
  | 'range'
  | 'value'
  | 'pattern'
  | 'missing-column'
  | 'unknown-column'
  | 'no-names'

export type InputProblem = { kind: InputProblemKind; row: number; columns: string[]; message: string }

/** The first reason why a request is refused; undefined: none. */
export const inputFailure = (contract: InputContract, input: InputRows): string | undefined =>
  inputProblems(contract, input).next().value?.message

/**
 * Pure. Holds a request against the contract of the version that shall answer it.
 * @returns what is wrong with it, found as it is asked for. Rows count from 0.
 *
 * Types of the signature's columns are MLflow's own matter: it casts (int into double, "yes" into boolean), the worker
 * refuses what cannot be cast. Here: columns that are missing, columns that nobody knows, and the declared checks.
 */
export function* inputProblems(contract: InputContract, input: InputRows): Generator<InputProblem, undefined> {
  if (input.named) {
    yield* missingColumns(contract, input.rows)
    yield* surplusColumns(contract, input.rows)
    yield* checkFailures(contract, input.rows)
    return
  }
  // A model of one column takes bare values, as MLflow does.
  const only = contract.columns.length === 1 ? contract.columns[0] : undefined
  if (only && input.rows.every((row) => Object.keys(row).length === 1)) {
    const rows = input.rows.map((row) => ({ [only.name]: row['0'] }))
    yield* checkFailures(contract, rows)
  } else if (contract.columns.length > 0 || contract.checks.length > 0) {
    const columns = namesOf(contract)
    const message = `The rows have no column names; the columns are: ${columns.join(', ')}.`
    yield { kind: 'no-names', row: 0, columns, message }
  }
}

function* missingColumns(contract: InputContract, rows: Record<string, unknown>[]): Generator<InputProblem, undefined> {
  const required = contract.columns.filter((column) => column.required)
  for (const [index, row] of rows.entries()) {
    const missing = required.filter((column) => !(column.name in row)).map((column) => column.name)
    if (missing.length === 0) continue
    const surplus = Object.keys(row).filter((name) => !isKnown(contract, name))
    const meant = missing.length === 1 && surplus.length === 1 ? ` Was "${surplus[0]}" meant for it?` : ''
    const message = `Row ${index} lacks the required ${missing.length === 1 ? 'column' : 'columns'} ${missing.join(', ')}.${meant}`
    yield { kind: 'missing-column', row: index, columns: missing, message }
  }
}

function* surplusColumns(contract: InputContract, rows: Record<string, unknown>[]): Generator<InputProblem, undefined> {
  // Without a signature nobody knows which columns the model takes.
  if (contract.columns.length === 0) return
  const known = new Set(namesOf(contract))
  for (const [index, row] of rows.entries())
    for (const name in row) {
      if (known.has(name)) continue
      const nearest = nearestWord(name, [...known])
      const hint = nearest ? `; did you mean "${nearest}"?` : `; it takes: ${[...known].join(', ')}.`
      const message = `Row ${index} has the column "${name}", which the model does not take${hint}`
      yield { kind: 'unknown-column', row: index, columns: [name], message }
    }
}

function* checkFailures(contract: InputContract, rows: Record<string, unknown>[]): Generator<InputProblem, undefined> {
  for (const check of contract.checks)
    for (const [row, values] of rows.entries()) {
      const found = problemOf(check, values)
      if (!found) continue
      const message = `Column "${check.column}", row ${row}: ${found.problem}.`
      yield { kind: found.kind, row, columns: [check.column], message }
    }
}

const kindOfCheck = { type: 'type', range: 'range', values: 'value', regex: 'pattern' } as const

function problemOf(
  check: InputCheck,
  row: Record<string, unknown>,
): { kind: InputProblemKind; problem: string } | undefined {
  // Absent columns that the model needs were refused already; a label's column is absent at inference by its nature.
  if (!(check.column in row)) return undefined
  const value = row[check.column]
  if (isMissing(value))
    return check.mayBeMissing
      ? undefined
      : { kind: 'missing', problem: 'the value is missing, and the check allows no missing values' }
  const failure = checkValue(check, value)
  return failure && { kind: kindOfCheck[failure.check], problem: `${shown(value)} ${failure.problem}` }
}

const namesOf = (contract: InputContract): string[] => [
  ...new Set([
    ...contract.columns.map((column) => column.name),
    ...(contract.key === undefined ? [] : [contract.key]),
    ...contract.checks.map((check) => check.column),
  ]),
]

const isKnown = (contract: InputContract, name: string): boolean => namesOf(contract).includes(name)

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
