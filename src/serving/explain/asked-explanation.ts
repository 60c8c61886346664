import { seededRng } from '../../math/rng.ts'
import {
  allCoalitions,
  type Coalition,
  type CoalitionPlan,
  sampledCoalitions,
  settle,
} from '../../math/shapley/coalitions.ts'
import type { InferAnswer } from '../models/model-backend.ts'
import type { ModelFacts } from '../models/model-facts.ts'
import { refusalError } from '../models/refusal-error.ts'
import { invalidInput } from '../scoring-error.ts'
import { bfloatFromBits, halfFromBits, numbersOf, type Tensor } from '../tensor.ts'
import type { Explanation } from './explanation.ts'
import type { FeatureTable } from './feature-table.ts'
import type { Pace } from './pace.ts'

/** Asks the model itself; it is given rows as any request gives them. */
export type AskModel = (tensors: Tensor[]) => Promise<InferAnswer>

/** Rows of one question: more would keep the model's other clients waiting. */
const batchRows = 512
/** Pairs of orders where orders are sampled, and how many questions a row may cost at most. */
const usualPairs = 32
const mostQuestions = 20_000
const mostFeatures = 2_000
/** Equal requests are explained alike. */
const seed = 20_180_817

/** Shapley values by asking a model that is not looked into: exact where its features are few, else estimated. @throws ScoringError */
export async function explainByAsking(
  table: FeatureTable,
  background: FeatureTable,
  { ask, outputs, pace }: { ask: AskModel; outputs: ModelFacts['outputs']; pace: Pace },
): Promise<Explanation> {
  const features = table.names.length
  if (features > mostFeatures)
    throw invalidInput(`The model takes ${features} features; up to ${mostFeatures} can be explained by asking it.`)
  const plan = planFor(features, background.rows)
  const { coalitions } = plan
  const rowsAtOnce = Math.max(1, Math.floor(batchRows / coalitions.length))
  let found: { names: readonly string[] | undefined; width: number } | undefined
  const bases: Float64Array[] = []
  const values: Float64Array[] = []
  for (let first = 0; first < table.rows; first += rowsAtOnce) {
    const rows = Array.from({ length: Math.min(rowsAtOnce, table.rows - first) }, (_, at) => first + at)
    const wanted = rows.flatMap((row) => coalitions.map((one: Coalition) => ({ row, ...one })))
    const answers: Float64Array[] = []
    for (let from = 0; from < wanted.length; from += batchRows) {
      const batch = wanted.slice(from, from + batchRows)
      const answer = await ask(table.mixed(batch, background))
      if (!answer.ok) throw refusalError(answer)
      const scores = scoresOf(answer.tensors, batch.length, outputs)
      found ??= { names: scores.names, width: scores.width }
      answers.push(scores.values)
      await pace.rest()
    }
    const all = concatenated(answers)
    for (const [at] of rows.entries()) {
      const length = coalitions.length * found!.width
      const settled = settle(plan, features, all.subarray(at * length, (at + 1) * length), found!.width)
      bases.push(settled.base)
      values.push(settled.values)
      if (pace.isDue) await pace.rest()
    }
  }
  return {
    rows: table.rows,
    features: table.names,
    outputs: found?.names,
    base: concatenated(bases),
    values: concatenated(values),
    method: {
      name: isExact(features, background.rows) ? 'all coalitions' : 'sampled orders',
      of: 'prediction',
      backgroundRows: background.rows,
      questions: coalitions.length,
    },
  }
}

/** Exact where that asks no more than sampling would. */
const isExact = (features: number, backgrounds: number): boolean =>
  features <= 12 && 2 ** features * backgrounds <= 2 * usualPairs * (features + 1)

function planFor(features: number, backgrounds: number): CoalitionPlan {
  if (isExact(features, backgrounds)) return allCoalitions(features, backgrounds)
  const affordable = Math.floor(mostQuestions / (2 * (features + 1)))
  return sampledCoalitions(features, backgrounds, Math.max(1, Math.min(usualPairs, affordable)), seededRng(seed))
}

/** The numbers of an answer, side by side: those with fractions where there are some, for a label's number says nothing. @throws ScoringError 400 */
function scoresOf(tensors: readonly Tensor[], rows: number, facts: ModelFacts['outputs']) {
  const tables = tensors.filter(({ datatype, shape }) => datatype !== 'BYTES' && shape[0] === rows && shape.length <= 2)
  const fractions = tables.filter(({ datatype }) => /^(FP|BF)/.test(datatype))
  const told = fractions.length > 0 ? fractions : tables
  if (told.length === 0)
    throw invalidInput(
      'The model answers no numbers per row, which an explanation could be of: texts have no differences.',
    )
  const widths = told.map(({ shape }) => shape[1] ?? 1)
  const width = widths.reduce((sum, one) => sum + one, 0)
  const names = told.flatMap(({ name }, at) => {
    const labels = facts.find((one) => one.name === name)?.labels
    return widths[at] === 1
      ? [name]
      : Array.from({ length: widths[at]! }, (_, index) => labels?.[index] ?? `${name}[${index}]`)
  })
  const values = new Float64Array(rows * width)
  let first = 0
  for (const [at, tensor] of told.entries()) {
    const numbers = numbersOf(tensor)
    const read = tensor.datatype === 'FP16' ? halfFromBits : tensor.datatype === 'BF16' ? bfloatFromBits : Number
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < widths[at]!; column++)
        values[row * width + first + column] = read(numbers[row * widths[at]! + column] as number)
    first += widths[at]!
  }
  return { names: width === 1 ? undefined : names, width, values }
}

function concatenated(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
