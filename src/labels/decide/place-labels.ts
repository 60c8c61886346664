import type { Label, LabelValue, LoggedPrediction, NewLabel } from '../label.ts'

/** A label whose row is known. `replaced`: another value stood there; `unchanged`: this very one. */
export type PlacedLabel = {
  index: number
  outcome: 'recorded' | 'replaced' | 'unchanged'
  prediction: LoggedPrediction
  row: number
  value: LabelValue
}

export type RefusedLabel = { index: number; predictionId: string; reason: string }

export type PlacingFacts = {
  project: string
  labels: readonly NewLabel[]
  /** What each id means; undefined: no prediction id at all. */
  decoded: readonly ({ prediction: string; row?: number } | undefined)[]
  predictions: ReadonlyMap<string, LoggedPrediction>
  /** What stands there, by labelKey. */
  existing: ReadonlyMap<string, LabelValue>
}

/** One for each answered row, the same for every value that is given for it. */
export const labelKey = (label: Pick<Label, 'predictionId' | 'row'>): string => `${label.predictionId}:${label.row}`

/**
 * Finds the answered row of each label, in the order given, so that of two values for one row the later one stands.
 * Pure; each label is either placed or refused with its reason. An id of another project is as unknown as one that never was:
 * an answer must not tell what other projects predict.
 */
export function placeLabels(facts: PlacingFacts): { placed: PlacedLabel[]; refused: RefusedLabel[] } {
  const standing = new Map(facts.existing)
  const placed: PlacedLabel[] = []
  const refused: RefusedLabel[] = []
  for (const [index, { predictionId, value }] of facts.labels.entries()) {
    const found = rowOf(facts, index)
    if (typeof found === 'string') {
      refused.push({ index, predictionId, reason: found })
      continue
    }
    const key = labelKey({ predictionId: found.prediction.id, row: found.row })
    const before = standing.get(key)
    const outcome = before === undefined ? 'recorded' : before === value ? 'unchanged' : 'replaced'
    standing.set(key, value)
    placed.push({ index, outcome, ...found, value })
  }
  return { placed, refused }
}

function rowOf(facts: PlacingFacts, index: number): { prediction: LoggedPrediction; row: number } | string {
  const id = facts.decoded[index]
  if (!id) return 'this is no prediction id; it stands in the header X-Modelwright-Prediction-Id of the answer'
  const prediction = facts.predictions.get(id.prediction)
  if (!prediction || prediction.project !== facts.project)
    return `no prediction of ${facts.project} is logged under this id`
  if (prediction.outcome !== 'answered') return `this request was not answered (${prediction.outcome})`
  const rows = prediction.rows.length
  if (id.row === undefined && rows > 1)
    return `the request had ${rows} rows: add the row, ":0" to ":${rows - 1}", to the id`
  const row = id.row ?? 0
  if (row >= rows) return `the request had ${rows === 1 ? 'one row' : `${rows} rows`}, so there is no row ${row}`
  return { prediction, row }
}
