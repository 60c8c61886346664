import { AppError } from '../../kernel/errors.ts'
import type { Check } from '../../projects/index.ts'

export type LabelColumnFacts = {
  dataset: string
  /** The dataset's columns. */
  header: readonly string[]
  key: string | undefined
  /** Columns that predictions were asked with. */
  inputs: readonly string[]
  checks: readonly Check[]
}

/**
 * The column that labels belong in: the dataset's only column that is neither the key nor asked for at prediction. Where several are
 * left, the only one of them that is checked `at: training`.
 * @throws ConfigInvalid where that names no column or several, with them
 */
export function labelColumn({ dataset, header, key, inputs, checks }: LabelColumnFacts): string {
  const left = header.filter((column) => column !== key && !inputs.includes(column))
  if (left.length === 1) return left[0]!
  if (left.length === 0)
    throw new AppError(
      'ConfigInvalid',
      `Labelled rows cannot be added to data.${dataset}: each of its columns is an input of the predictions, so none is the label's.`,
      'Ask predictions without the label column, or take plus: out of the dataset.',
    )
  const checked = left.filter((column) =>
    checks.some((check) => check.kind === 'column' && check.column === column && check.at === 'training'),
  )
  if (checked.length === 1) return checked[0]!
  throw new AppError(
    'ConfigInvalid',
    `Labelled rows cannot be added to data.${dataset}: which column is the label's? Neither key nor input of the predictions are ${left.join(', ')}.`,
    'Declare a check of the label column, and of no other of them, with at: training.',
  )
}
