import { nearestWord } from '../kernel/nearest-word.ts'
import { checkValue, isMissing } from '../validation/index.ts'
import type { InputCheck, InputContract } from './gateway-state.ts'

/** The rows of a request; `named` is false where the client sent values without column names (then the names are 0, 1, …). */
export type InputRows = { rows: Record<string, unknown>[]; named: boolean }

/**
 * Pure. Holds a request against the contract of the version that shall answer it.
 * @returns why the request is refused (the first reason), or undefined. Rows count from 0.
 *
 * Types of the signature's columns are MLflow's own matter: it casts (int into double, "yes" into boolean), the worker
 * refuses what cannot be cast. Here: columns that are missing, columns that nobody knows, and the declared checks.
 */
export function inputFailure(contract: InputContract, input: InputRows): string | undefined {
  const only = contract.columns.length === 1 ? contract.columns[0] : undefined
  if (input.named)
    return (
      missingColumns(contract, input.rows) ?? surplusColumn(contract, input.rows) ?? checkFailure(contract, input.rows)
    )
  // A model of one column takes bare values, as MLflow does.
  if (only && input.rows.every((row) => Object.keys(row).length === 1))
    return checkFailure(
      contract,
      input.rows.map((row) => ({ [only.name]: row['0'] })),
    )
  if (contract.columns.length === 0 && contract.checks.length === 0) return undefined
  return `The rows have no column names; the columns are: ${namesOf(contract).join(', ')}.`
}

function missingColumns(contract: InputContract, rows: Record<string, unknown>[]): string | undefined {
  const required = contract.columns.filter((column) => column.required)
  for (const [index, row] of rows.entries()) {
    const missing = required.filter((column) => !(column.name in row)).map((column) => column.name)
    if (missing.length === 0) continue
    const surplus = Object.keys(row).filter((name) => !isKnown(contract, name))
    const meant = missing.length === 1 && surplus.length === 1 ? ` Was "${surplus[0]}" meant for it?` : ''
    return `Row ${index} lacks the required ${missing.length === 1 ? 'column' : 'columns'} ${missing.join(', ')}.${meant}`
  }
  return undefined
}

function surplusColumn(contract: InputContract, rows: Record<string, unknown>[]): string | undefined {
  // Without a signature nobody knows which columns the model takes.
  if (contract.columns.length === 0) return undefined
  const known = new Set(namesOf(contract))
  for (const [index, row] of rows.entries())
    for (const name in row) {
      if (known.has(name)) continue
      const nearest = nearestWord(name, [...known])
      return `Row ${index} has the column "${name}", which the model does not take${nearest ? `; did you mean "${nearest}"?` : `; it takes: ${[...known].join(', ')}.`}`
    }
  return undefined
}

function checkFailure(contract: InputContract, rows: Record<string, unknown>[]): string | undefined {
  for (const check of contract.checks)
    for (const [index, row] of rows.entries()) {
      const problem = problemOf(check, row)
      if (problem) return `Column "${check.column}", row ${index}: ${problem}.`
    }
  return undefined
}

function problemOf(check: InputCheck, row: Record<string, unknown>): string | undefined {
  // Absent columns that the model needs were refused already; a label's column is absent at inference by its nature.
  if (!(check.column in row)) return undefined
  const value = row[check.column]
  if (isMissing(value))
    return check.mayBeMissing ? undefined : 'the value is missing, and the check allows no missing values'
  const failure = checkValue(check, value)
  return failure && `${shown(value)} ${failure.problem}`
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
