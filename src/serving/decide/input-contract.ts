import { type Bound, compares, targetOf } from '../../kernel/bound.ts'
import type { Check, ColumnCheck } from '../../projects/index.ts'
import type { InputCheck, InputContract } from '../gateway-state.ts'

/** A column of an MLflow signature as MLmodel holds it; tensors have no name. */
export type SignatureColumn = { name?: string; type?: unknown; required?: boolean; optional?: boolean }

/**
 * What a version's input must look like.
 * @param signature the columns of the signature's inputs in order; empty where the model has none or takes tensors
 * @param checks of the data that the model was trained on; those at training only, and `unique`, which speaks of a whole
 *   table, do not hold for a request. A bound on the share of missing values that allows any at all lets a row miss its value.
 * @param key the data's key column
 */
export function inputContract(
  signature: readonly SignatureColumn[],
  checks: readonly Check[],
  key: string | undefined,
): InputContract {
  const named = signature.filter((column) => column.name !== undefined)
  return {
    columns: named.map((column) => ({
      name: column.name as string,
      type: typeof column.type === 'string' ? column.type : 'any',
      required: column.required ?? !(column.optional ?? false),
    })),
    checks: checks
      .filter((check) => check.kind === 'column' && check.at !== 'training')
      .map((check) => inputCheck(check as ColumnCheck)),
    ...(key === undefined ? {} : { key }),
  }
}

function inputCheck(check: ColumnCheck): InputCheck {
  return {
    column: check.column,
    ...(check.type ? { type: check.type } : {}),
    ...(check.range ? { range: [check.range.min ?? null, check.range.max ?? null] } : {}),
    ...(check.values ? { values: check.values } : {}),
    ...(check.regex === undefined ? {} : { regex: check.regex }),
    mayBeMissing: check.missing === undefined || allowsAny(check.missing),
  }
}

/** Whether a tiny share of missing values keeps the bound: `<= 1%` does, `<= 0%` and `== 0` do not. */
const allowsAny = (bound: Bound): boolean => compares(Number.MIN_VALUE, bound.comparator, targetOf(bound, undefined))
