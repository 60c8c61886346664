import type { EpochMs } from '../../kernel/time.ts'
import { wilsonInterval } from '../../math/intervals.ts'
import { ascending, quantile } from '../../math/quantiles.ts'
import type { MeasuredMetric, QualityReport } from '../monitoring.ts'

export type LabelledAnswer = {
  at: EpochMs
  labelledAt: EpochMs
  output?: unknown
  label: string | number | boolean
}

/** More different numbers than that are quantities, not names of classes. */
const mostClasses = 20

/**
 * What labels say about the answers: `accuracy` where both name classes (texts, booleans, few whole numbers), `mae`, `rmse` and
 * `bias` (mean of answer − label) where both are numbers; whole numbers that could be either get all of them.
 * Answers of another form (probabilities, several outputs) are not compared, and the reasons say so.
 *
 * @param rows labelled answers in any order
 * @returns undefined where nothing is labelled; accuracy carries its 95 % Wilson interval
 */
export function judgeQuality(rows: readonly LabelledAnswer[]): QualityReport | undefined {
  if (rows.length === 0) return undefined
  const pairs = rows.flatMap(({ output, label }) => {
    const answer = answerIn(output)
    return answer === undefined ? [] : [{ answer, label }]
  })
  const delays = ascending(rows.map(({ at, labelledAt }) => Math.max(0, labelledAt - at)))
  const unread = rows.length - pairs.length
  return {
    n: pairs.length,
    metrics: pairs.length === 0 ? {} : metricsOf(pairs),
    delayMs: { median: Math.round(quantile(delays, 0.5)), max: delays.at(-1)! },
    reasons:
      unread === 0
        ? []
        : [
            `${unread} of ${rows.length} labelled answers are no single value, so they cannot be compared with a label.`,
          ],
  }
}

type Scalar = string | number | boolean
type Pair = { answer: Scalar; label: Scalar }

function metricsOf(pairs: readonly Pair[]): Record<string, MeasuredMetric> {
  const numeric = pairs.every(({ answer, label }) => typeof answer === 'number' && typeof label === 'number')
  return {
    ...(numeric && areQuantities(pairs) ? {} : accuracyOf(pairs)),
    ...(numeric ? errorsOf(pairs as { answer: number; label: number }[]) : {}),
  }
}

function areQuantities(pairs: readonly Pair[]): boolean {
  const values = new Set(pairs.flatMap(({ answer, label }) => [answer, label]))
  return values.size > mostClasses || [...values].some((value) => !Number.isInteger(value))
}

function accuracyOf(pairs: readonly Pair[]): Record<string, MeasuredMetric> {
  const hits = pairs.filter(({ answer, label }) => className(answer) === className(label)).length
  const count = pairs.length
  return { accuracy: { value: hits / count, n: count, interval: wilsonInterval({ hits, count }) } }
}

function errorsOf(pairs: readonly { answer: number; label: number }[]): Record<string, MeasuredMetric> {
  const n = pairs.length
  let [sum, absolute, squared] = [0, 0, 0]
  for (const { answer, label } of pairs) {
    const error = answer - label
    sum += error
    absolute += Math.abs(error)
    squared += error * error
  }
  return {
    mae: { value: absolute / n, n },
    rmse: { value: Math.sqrt(squared / n), n },
    bias: { value: sum / n, n },
  }
}

/** A model of one output may answer with a list or a record of one value. */
function answerIn(output: unknown): Scalar | undefined {
  if (typeof output === 'string' || typeof output === 'boolean') return output
  if (typeof output === 'number') return Number.isFinite(output) ? output : undefined
  if (output === null || typeof output !== 'object') return undefined
  const values = Object.values(output)
  return values.length === 1 && typeof values[0] !== 'object' ? answerIn(values[0]) : undefined
}

// A client may know a class 1 as "1", and true as 1, "true" or Python's "True": forms of one name.
function className(value: Scalar): string {
  if (typeof value === 'number') return String(value)
  const text = String(value)
  return /^true$/i.test(text) ? '1' : /^false$/i.test(text) ? '0' : text
}
