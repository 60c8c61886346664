import { type Selectable, sql } from 'kysely'
import type { Db, Tx } from '../db/index.ts'
import type { LabelTables } from '../db/tables/labels.ts'
import type { Digest } from '../kernel/digest.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Label, LabelSummary, LabelValue } from './label.ts'

/** What is asked of the labels of one environment. Ends belong to the spans. */
export type LabelQuery = {
  project: string
  environment: string
  /** When it was predicted. */
  sinceMs?: EpochMs
  untilMs?: EpochMs
  /** When the label came. */
  labelledAfterMs?: EpochMs
  labelledUntilMs?: EpochMs
  /** Answers of this version only. */
  digest?: Digest
}

type Position = { predictedAt: EpochMs; predictionId: string; row: number }

/** Well below SQLite's limit of variables in one statement. */
const chunk = 500

export class LabelsStore {
  readonly #db: Db

  constructor(db: Db) {
    this.#db = db
  }

  async valuesOf(tx: Tx, predictionIds: readonly string[]): Promise<Label[]> {
    const found: Label[] = []
    for (let i = 0; i < predictionIds.length; i += chunk) {
      const rows = await tx
        .selectFrom('labels')
        .selectAll()
        .where('prediction_id', 'in', predictionIds.slice(i, i + chunk))
        .execute()
      found.push(...rows.map(toLabel))
    }
    return found
  }

  async put(tx: Tx, labels: readonly Label[]): Promise<void> {
    for (let i = 0; i < labels.length; i += chunk)
      await tx
        .insertInto('labels')
        .values(labels.slice(i, i + chunk).map(toRow))
        .onConflict((c) =>
          c.columns(['prediction_id', 'row_index']).doUpdateSet((e) => ({
            value: e.ref('excluded.value'),
            actor: e.ref('excluded.actor'),
            at: e.ref('excluded.at'),
          })),
        )
        .execute()
  }

  /** By time of prediction, oldest first; `after` is the last one of the page before. */
  async page(query: LabelQuery, limit: number, after?: Position): Promise<Label[]> {
    let select = this.#matching(query)
      .selectAll()
      .orderBy('predicted_at')
      .orderBy('prediction_id')
      .orderBy('row_index')
      .limit(limit)
    if (after)
      select = select.where(
        sql<boolean>`(predicted_at, prediction_id, row_index) > (${after.predictedAt}, ${after.predictionId}, ${after.row})`,
      )
    return (await select.execute()).map(toLabel)
  }

  /** By time of prediction, newest first. */
  async newest(query: LabelQuery, limit: number): Promise<Label[]> {
    const rows = await this.#matching(query)
      .selectAll()
      .orderBy('predicted_at', 'desc')
      .orderBy('prediction_id', 'desc')
      .orderBy('row_index', 'desc')
      .limit(limit)
      .execute()
    return rows.map(toLabel)
  }

  async count(query: LabelQuery): Promise<{ count: number; lastAt: EpochMs }> {
    const row = await this.#matching(query)
      .select((e) => [e.fn.countAll<number>().as('count'), e.fn.max('at').as('last')])
      .executeTakeFirstOrThrow()
    return { count: Number(row.count), lastAt: Number(row.last ?? 0) }
  }

  /** Newest version first, at most 100 of them. */
  async summaries(project: string): Promise<LabelSummary[]> {
    const versions = await this.#db
      .selectFrom('labels')
      .where('project', '=', project)
      .groupBy(['environment', 'model', 'version', 'digest'])
      .select((e) => [
        'environment',
        'model',
        'version',
        'digest',
        e.fn.countAll<number>().as('labels'),
        e.fn.min('at').as('first'),
        e.fn.max('at').as('last'),
        sql<number>`avg(at - predicted_at)`.as('delay'),
      ])
      .orderBy('last', 'desc')
      .limit(100)
      .execute()
    return Promise.all(
      versions.map(async (v) => ({
        environment: v.environment,
        model: v.model,
        version: v.version,
        digest: v.digest as Digest,
        labels: Number(v.labels),
        firstAt: Number(v.first),
        lastAt: Number(v.last),
        meanDelayMs: Math.round(Number(v.delay)),
        values: await this.#frequentValues(project, v.environment, v.digest as Digest, Number(v.labels)),
      })),
    )
  }

  async #frequentValues(project: string, environment: string, digest: Digest, all: number) {
    const rows = await this.#matching({ project, environment, digest })
      .select((e) => ['value', e.fn.countAll<number>().as('count')])
      .groupBy('value')
      .orderBy('count', 'desc')
      .orderBy('value')
      .limit(20)
      .execute()
    return rows.map((row) => ({
      value: JSON.parse(row.value) as LabelValue,
      count: Number(row.count),
      share: Number(row.count) / all,
    }))
  }

  #matching(query: LabelQuery) {
    let select = this.#db
      .selectFrom('labels')
      .where('project', '=', query.project)
      .where('environment', '=', query.environment)
    if (query.sinceMs !== undefined) select = select.where('predicted_at', '>=', query.sinceMs)
    if (query.untilMs !== undefined) select = select.where('predicted_at', '<=', query.untilMs)
    if (query.labelledAfterMs !== undefined) select = select.where('at', '>', query.labelledAfterMs)
    if (query.labelledUntilMs !== undefined) select = select.where('at', '<=', query.labelledUntilMs)
    if (query.digest !== undefined) select = select.where('digest', '=', query.digest)
    return select
  }
}

const toRow = (label: Label): LabelTables['labels'] => ({
  prediction_id: label.predictionId,
  row_index: label.row,
  project: label.project,
  environment: label.environment,
  model: label.model,
  version: label.version,
  digest: label.digest,
  value: JSON.stringify(label.value),
  actor: label.actor,
  at: label.at,
  predicted_at: label.predictedAt,
})

const toLabel = (row: Selectable<LabelTables['labels']>): Label => ({
  predictionId: row.prediction_id,
  row: row.row_index,
  project: row.project,
  environment: row.environment,
  model: row.model,
  version: row.version,
  digest: row.digest as Digest,
  value: JSON.parse(row.value) as LabelValue,
  actor: row.actor,
  at: row.at,
  predictedAt: row.predicted_at,
})
