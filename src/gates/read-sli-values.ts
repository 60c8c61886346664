import { AppError } from '../kernel/errors.ts'
import type { PreviousEvaluation, SliValue, SliValues } from './keptn-slo.ts'

type Fields = Record<string, unknown>

/**
 * The measured values of an evaluation, from JSON text in one of three forms:
 * `{ "metric": 1.5, "unmeasured": null }`, `{ "values": { … } }`, or Keptn's indicator list
 * `[{ "metric": "m", "value": 1.5, "success": true, "message": "" }]`.
 * Throws GateInputInvalid.
 */
export function readSliValues(text: string, file: string): SliValues {
  const written = readJson(text, file)
  if (isFields(written) && isFields(written.values)) return valuesIn(written.values, file)
  return valuesIn(written, file)
}

/**
 * Earlier evaluations, newest first, from JSON text: `[{ "result": "pass", "values": { … } }]`, the same under the key
 * `previous_newest_first`, or Keptn's evaluation.finished data (`result`, `evaluation.indicatorResults`). null is none.
 * Throws GateInputInvalid.
 */
export function readPreviousEvaluations(text: string, file: string): PreviousEvaluation[] {
  const root = readJson(text, file)
  const written = root === null ? [] : isFields(root) ? root.previous_newest_first : root
  if (!Array.isArray(written))
    throw invalid(file, `found ${kind(root)}`, 'a list of { "result", "values" }, newest first')
  return written.map((item, index) => previousIn(item, `${file}[${index}]`))
}

function previousIn(item: unknown, place: string): PreviousEvaluation {
  if (!isFields(item)) throw invalid(place, `found ${kind(item)}`, '{ "result": "pass", "values": { … } }')
  const { result } = item
  if (typeof result !== 'string') throw invalid(place, `result is ${kind(result)}`, 'pass, warning or fail')
  const indicators = isFields(item.evaluation) ? (item.evaluation.indicatorResults ?? []) : undefined
  if (!indicators) return { result: result.toLowerCase(), values: valuesIn(item.values ?? {}, place) }
  if (!Array.isArray(indicators)) throw invalid(place, `indicatorResults is ${kind(indicators)}`, 'a list')
  const measured = indicators.flatMap((one) => (isFields(one) && isFields(one.value) ? [one.value] : []))
  return { result: result.toLowerCase(), values: valuesIn(measured, place) }
}

function valuesIn(written: unknown, place: string): SliValues {
  if (Array.isArray(written)) return new Map(written.map((item, index) => indicatorIn(item, `${place}[${index}]`)))
  if (!isFields(written)) throw invalid(place, `found ${kind(written)}`, 'an object of metric names and numbers')
  return new Map(
    Object.entries(written).map(([metric, value]) => [metric, { value: numberIn(value, `${place}: ${metric}`) }]),
  )
}

function indicatorIn(item: unknown, place: string): [string, SliValue] {
  if (!isFields(item) || typeof item.metric !== 'string')
    throw invalid(place, `found ${kind(item)}`, '{ "metric", "value", "success" }')
  const message = typeof item.message === 'string' ? item.message : ''
  const value = item.success === false ? undefined : numberIn(item.value, `${place}.value`)
  return [item.metric, { value, message }]
}

function numberIn(value: unknown, place: string): number | undefined {
  if (value === null || value === undefined) return undefined
  if (typeof value === 'number') return value
  throw invalid(place, `found ${kind(value)}`, 'a number, or null where it could not be measured')
}

function readJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw new AppError(
      'GateInputInvalid',
      `${file} is not JSON: ${detail}.`,
      'Write it as JSON; a value that could not be measured is null.',
      { cause, place: { file } },
    )
  }
}

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const kind = (value: unknown): string =>
  Array.isArray(value)
    ? 'a list'
    : isFields(value)
      ? 'an object'
      : value === undefined
        ? 'nothing'
        : JSON.stringify(value)

const invalid = (place: string, found: string, allowed: string): AppError =>
  new AppError(
    'GateInputInvalid',
    `${place}: ${found}; allowed is ${allowed}.`,
    'Mend the file and run the command again.',
  )
