import { pythonFloat } from '../../kernel/python-text.ts'
import { invalid } from '../../tracking/decide/limits.ts'
import type { LabelInput, LabelSchema, LabelSchemaChange, NewLabelSchema } from '../evaluations.ts'

/**
 * What a question to reviewers may be, in MLflow's words (genai/label_schemas/validation.py, 3.17.2). All throw BadRequest.
 */
export const defaultLabelSchema = {
  name: 'Feedback',
  type: 'feedback',
  instruction: 'Share any feedback on this trace.',
  input: { kind: 'text' },
} as const

export function checkNewLabelSchema({ name, instruction, input }: Omit<NewLabelSchema, 'experimentId'>): void {
  checkName(name)
  checkInstruction(instruction)
  checkInput(input)
}

/** The kind of answer is fixed once and for all: another would make what was already answered meaningless. */
export function checkLabelSchemaChange(known: LabelSchema, change: LabelSchemaChange): void {
  if (known.isDefault) throw invalid("The experiment's default question cannot be edited.")
  if (change.name !== undefined) checkName(change.name)
  checkInstruction(change.instruction)
  if (change.input === undefined) return
  checkInput(change.input)
  if (change.input.kind !== known.input.kind)
    throw invalid(
      `A label schema's input type cannot be changed after creation (existing: ${className[known.input.kind]}, got: ${className[change.input.kind]}).`,
    )
  if (
    change.input.kind === 'categorical' &&
    known.input.kind === 'categorical' &&
    change.input.multiSelect !== known.input.multiSelect
  )
    throw invalid('`InputCategorical.multi_select` cannot be changed after creation.')
}

const className: Record<LabelInput['kind'], string> = {
  pass_fail: 'InputPassFail',
  categorical: 'InputCategorical',
  numeric: 'InputNumeric',
  text: 'InputText',
}

function checkName(name: string): void {
  if (name === '') throw invalid("Label schema `name` must be a non-empty string; got ''.")
  if (name.length > 250) throw invalid(`Label schema \`name\` must be at most 250 characters; got ${name.length}.`)
  if (name.trim().toLowerCase() === defaultLabelSchema.name.toLowerCase())
    throw invalid(
      `\`${name}\` is reserved for the experiment's default question and cannot be used for another label schema.`,
    )
}

function checkInstruction(instruction: string | undefined): void {
  if (instruction !== undefined && instruction.length > 1000)
    throw invalid(`Label schema \`instruction\` must be at most 1000 characters; got ${instruction.length}.`)
}

function checkInput(input: LabelInput): void {
  switch (input.kind) {
    case 'pass_fail':
      checkPassFail(input.positiveLabel, input.negativeLabel)
      break
    case 'categorical':
      checkOptions(input.options)
      break
    case 'numeric':
      if (input.minValue !== undefined && input.maxValue !== undefined && input.minValue >= input.maxValue)
        throw invalid(
          `\`InputNumeric.min_value\` must be strictly less than \`max_value\`; got min=${pythonFloat(input.minValue)}, max=${pythonFloat(input.maxValue)}.`,
        )
      break
    case 'text':
      if (input.maxLength !== undefined && input.maxLength < 1)
        throw invalid(`\`InputText.max_length\` must be at least 1; got ${input.maxLength}.`)
  }
}

function checkPassFail(positive: string, negative: string): void {
  for (const [field, label] of [
    ['positive_label', positive],
    ['negative_label', negative],
  ] as const) {
    if (label === '') throw invalid(`\`InputPassFail.${field}\` must be a non-empty string; got ''.`)
    if (label.length > 64)
      throw invalid(`\`InputPassFail.${field}\` must be at most 64 characters; got ${label.length}.`)
  }
  if (positive === negative)
    throw invalid(
      `\`InputPassFail.positive_label\` and \`negative_label\` must be distinct; got '${positive}' for both.`,
    )
}

function checkOptions(options: readonly string[]): void {
  if (options.length === 0) throw invalid('`InputCategorical.options` must be a non-empty list; got [].')
  if (options.length > 10)
    throw invalid(`\`InputCategorical.options\` must have at most 10 entries; got ${options.length}.`)
  for (const [index, option] of options.entries()) {
    if (option === '') throw invalid("`InputCategorical.options` entries must be non-empty strings; got ''.")
    if (option.length > 64)
      throw invalid(
        `\`InputCategorical.options\` entries must be at most 64 characters; got ${option.length} for '${option}'.`,
      )
    if (options.indexOf(option) < index)
      throw invalid(`\`InputCategorical.options\` must be deduplicated; '${option}' appears twice.`)
  }
}
