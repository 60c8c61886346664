import type { InputPolicy } from '../projects/index.ts'
import { isMissing } from '../validation/index.ts'
import type { InputContract } from './gateway-state.ts'
import { type InputProblem, type InputProblemKind, type InputRows, inputProblems } from './input-failure.ts'

/** How often what was wrong, by kind. */
export type ProblemCounts = Partial<Record<InputProblemKind, number>>

/** A value that stands in for what was missing or wrong. */
export type Imputed = { row: number; column: string; value: string | number | boolean }

export type InputVerdict =
  | { outcome: 'refused'; problem: InputProblem }
  /** `warnings` is empty where nothing was wrong; `imputed` are the cells that the model is given otherwise than they came. */
  | { outcome: 'taken'; warnings: ProblemCounts; imputed: Imputed[] }

const nothingWrong: InputVerdict = { outcome: 'taken', warnings: {}, imputed: [] }

/** The model cannot be asked at all without these. */
const unanswerable: readonly InputProblemKind[] = ['missing-column', 'no-names']

/**
 * Pure. What becomes of a request, by what its endpoint says about rows that break the contract: `reject` at the first problem; `warn`
 * takes what the model can be asked; `impute` puts the declared value of a column in the place of what is missing there or breaks its
 * check, and rejects what is wrong in any other column.
 */
export function handleInput(policy: InputPolicy | undefined, contract: InputContract, input: InputRows): InputVerdict {
  const onFailure = policy?.onFailure ?? 'reject'
  if (onFailure === 'reject') {
    const problem = inputProblems(contract, input).next().value
    return problem ? { outcome: 'refused', problem } : nothingWrong
  }
  return onFailure === 'warn' ? warned(contract, input) : imputed(policy!.impute, contract, input)
}

function warned(contract: InputContract, input: InputRows): InputVerdict {
  const warnings: ProblemCounts = {}
  for (const problem of inputProblems(contract, input)) {
    if (unanswerable.includes(problem.kind)) return { outcome: 'refused', problem }
    warnings[problem.kind] = (warnings[problem.kind] ?? 0) + 1
  }
  return { outcome: 'taken', warnings, imputed: [] }
}

function imputed(values: InputPolicy['impute'], contract: InputContract, input: InputRows): InputVerdict {
  const warnings: ProblemCounts = {}
  const cells = new Map<string, Imputed>()
  const putIn = (row: number, column: string) => cells.set(`${row} ${column}`, { row, column, value: values[column]! })
  for (const problem of inputProblems(contract, input)) {
    const { kind, row, columns } = problem
    const isHelped =
      kind !== 'unknown-column' && kind !== 'no-names' && columns.every((one) => Object.hasOwn(values, one))
    if (!isHelped) return { outcome: 'refused', problem }
    warnings[kind] = (warnings[kind] ?? 0) + 1
    for (const column of columns) putIn(row, column)
  }
  // Missing where the checks allow it: who declares a value for a column wants it there, too.
  if (input.named)
    for (const column of Object.keys(values).filter((one) => isTaken(contract, one)))
      for (const [row, cellsOfRow] of input.rows.entries())
        if (isMissing(cellsOfRow[column]) && !cells.has(`${row} ${column}`)) {
          putIn(row, column)
          warnings.missing = (warnings.missing ?? 0) + 1
        }
  return { outcome: 'taken', warnings, imputed: [...cells.values()] }
}

const isTaken = (contract: InputContract, column: string): boolean =>
  contract.columns.length === 0 || contract.columns.some(({ name }) => name === column)

/** The rows as the model is given them. */
export function withImputed({ rows, named }: InputRows, cells: readonly Imputed[]): InputRows {
  const changed = rows.map((row) => ({ ...row }))
  for (const { row, column, value } of cells) changed[row]![named ? column : '0'] = value
  return { rows: changed, named }
}

/** `range=2, missing=1`: as a header says it. */
export const warningsText = (warnings: Readonly<Record<string, number>>): string =>
  Object.entries(warnings)
    .map(([kind, count]) => `${kind}=${count}`)
    .join(', ')
