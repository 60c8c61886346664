import { appendAudit } from '../access/index.ts'
import { type Db, publish, transact } from '../db/index.ts'
import type { Actor } from '../kernel/route.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Clock } from '../ports/clock.ts'
import { labelKey, placeLabels } from './decide/place-labels.ts'
import type {
  Label,
  LabelledRow,
  LabelSummary,
  LabelsReceived,
  LoggedPrediction,
  NewLabel,
  PredictionLookup,
} from './label.ts'
import { type LabelQuery, LabelsStore } from './labels-store.ts'

const pageSize = 1000

export class LabelsService {
  readonly #db: Db
  readonly #clock: Clock
  readonly #predictions: PredictionLookup
  readonly #store: LabelsStore

  constructor(parts: { db: Db; clock: Clock; predictions: PredictionLookup }) {
    this.#db = parts.db
    this.#clock = parts.clock
    this.#predictions = parts.predictions
    this.#store = new LabelsStore(parts.db)
  }

  /** Takes what can be placed and says of each other label why not. The same call again changes nothing more. */
  async receive(project: string, labels: readonly NewLabel[], actor: Actor): Promise<LabelsReceived> {
    const decoded = labels.map(({ predictionId }) => this.#predictions.decode(predictionId))
    const ids = [...new Set(decoded.flatMap((id) => (id ? [id.prediction] : [])))]
    const predictions = byId(await this.#predictions.find(ids))
    const at = this.#clock.now()
    return transact(this.#db, async (tx) => {
      const existing = new Map((await this.#store.valuesOf(tx, ids)).map((label) => [labelKey(label), label.value]))
      const { placed, refused } = placeLabels({ project, labels, decoded, predictions, existing })
      const changed = placed.filter(({ outcome }) => outcome !== 'unchanged')
      const replaced = placed.filter(({ outcome }) => outcome === 'replaced')
      await this.#store.put(tx, lastOfEach(changed.map((label) => toLabel(label, actor.name, at))))
      if (changed.length > 0)
        await publish(tx, { type: 'labels.received', payload: { project, count: changed.length } }, at)
      // A first label adds to what is known; another value changes what was true: that is kept in sight.
      if (replaced.length > 0)
        await appendAudit(tx, {
          at,
          actor: actor.name,
          action: 'labels.replace',
          subject: project,
          details: { count: replaced.length, first: replaced[0]!.prediction.id },
        })
      return {
        recorded: changed.length - replaced.length,
        replaced: replaced.length,
        unchanged: placed.length - changed.length,
        refused,
      }
    })
  }

  summary(project: string): Promise<LabelSummary[]> {
    return this.#store.summaries(project)
  }

  /** How many labels answer the query, and when the last of them came (0: there is none). */
  count(query: LabelQuery): Promise<{ count: number; lastAt: EpochMs }> {
    return this.#store.count(query)
  }

  /** Labels joined with what was predicted, in the order of prediction. A label whose prediction left the log is left out. */
  async labelledRows(query: LabelQuery): Promise<LabelledRow[]> {
    const rows: LabelledRow[] = []
    for (let after: Label | undefined; ; ) {
      const page = await this.#store.page(query, pageSize, after)
      rows.push(...(await this.#joined(page)))
      if (page.length < pageSize) return rows
      after = page.at(-1)
    }
  }

  /** The last so many by time of prediction, oldest first. */
  async latestLabelledRows(query: LabelQuery, limit: number): Promise<LabelledRow[]> {
    return this.#joined((await this.#store.newest(query, limit)).reverse())
  }

  async #joined(labels: readonly Label[]): Promise<LabelledRow[]> {
    if (labels.length === 0) return []
    const predictions = byId(await this.#predictions.find([...new Set(labels.map((label) => label.predictionId))]))
    return labels.flatMap((label) => {
      const found = predictions.get(label.predictionId)?.rows[label.row]
      return found ? [toLabelledRow(label, found)] : []
    })
  }
}

const byId = (predictions: readonly LoggedPrediction[]): Map<string, LoggedPrediction> =>
  new Map(predictions.map((prediction) => [prediction.id, prediction]))

/** One statement must not write a row twice. */
const lastOfEach = (labels: readonly Label[]): Label[] => [
  ...new Map(labels.map((label) => [labelKey(label), label])).values(),
]

const toLabel = (
  placed: { prediction: LoggedPrediction; row: number; value: Label['value'] },
  actor: string,
  at: EpochMs,
): Label => {
  const { id, project, environment, model, version, digest, at: predictedAt } = placed.prediction
  const { row, value } = placed
  return { predictionId: id, row, project, environment, model, version, digest, value, actor, at, predictedAt }
}

const toLabelledRow = (label: Label, { key, input, output }: LoggedPrediction['rows'][number]): LabelledRow => ({
  predictionId: label.predictionId,
  row: label.row,
  at: label.predictedAt,
  labelledAt: label.at,
  model: label.model,
  version: label.version,
  digest: label.digest,
  ...(key === undefined ? {} : { key }),
  input,
  ...(output === undefined ? {} : { output }),
  label: label.value,
})
