import { type Selectable, sql } from 'kysely'
import type { Visible } from '../access/index.ts'
import type { Db } from '../db/index.ts'
import type { TrackingTables } from '../db/tables/tracking.ts'
import { AppError } from '../kernel/errors.ts'
import type { EpochMs } from '../kernel/time.ts'
import { checkExperimentName, checkTag, invalid, limits } from './decide/limits.ts'
import { type Grammar, parseFilter, parseOrder } from './decide/search-filter.ts'
import {
  afterSql,
  compareSql,
  orderSql,
  pageTokenFor,
  readPageToken,
  type SortColumn,
  visibleSql,
} from './search-sql.ts'
import type { Experiment, ExperimentId, Found, KeyValue, LifecycleView, Search } from './tracking.ts'

type Row = Selectable<TrackingTables['experiments']>

/** `visible`: those that whoever asks may see; all of them where it is left out. */
export type ExperimentSearch = Search & { view: LifecycleView; visible?: Visible<ExperimentId> }

/** Experiments and their tags. Each method takes the handle, so that it can be part of a transaction. */
export const experimentStore = {
  async create(
    db: Db,
    experiment: { name: string; artifactLocation?: string; tags?: readonly KeyValue[]; now: EpochMs },
  ): Promise<ExperimentId> {
    checkExperimentName(experiment.name)
    for (const tag of experiment.tags ?? []) checkTag(tag, '', limits.experimentTagValue)
    await refuseTakenName(db, experiment.name)
    const { id } = await db
      .insertInto('experiments')
      .values({
        name: experiment.name,
        artifact_location: experiment.artifactLocation ?? '',
        lifecycle_stage: 'active',
        created_at: experiment.now,
        updated_at: experiment.now,
      })
      .returning('id')
      .executeTakeFirstOrThrow()
    if (!experiment.artifactLocation)
      await db
        .updateTable('experiments')
        .set({ artifact_location: `mlflow-artifacts:/${id}` })
        .where('id', '=', id)
        .execute()
    for (const tag of experiment.tags ?? []) await this.setTag(db, String(id), tag)
    return String(id)
  },

  async byName(db: Db, name: string): Promise<Experiment | undefined> {
    const row = await db.selectFrom('experiments').selectAll().where('name', '=', name).executeTakeFirst()
    return row && (await withTags(db, [row]))[0]
  },

  async byId(db: Db, experimentId: ExperimentId): Promise<Experiment> {
    const row = await db
      .selectFrom('experiments')
      .selectAll()
      .where('id', '=', experimentNumber(experimentId))
      .executeTakeFirst()
    if (!row) throw noExperiment(experimentId)
    return (await withTags(db, [row]))[0]!
  },

  /** Throws unless runs and models may be added. */
  async active(db: Db, experimentId: ExperimentId): Promise<Experiment> {
    const experiment = await this.byId(db, experimentId)
    if (experiment.lifecycle !== 'active')
      throw invalid(
        `The experiment ${experimentId} must be in the 'active' state. Current state is ${experiment.lifecycle}.`,
      )
    return experiment
  },

  async rename(db: Db, experimentId: ExperimentId, name: string, now: EpochMs): Promise<void> {
    checkExperimentName(name)
    const experiment = await this.byId(db, experimentId)
    if (experiment.lifecycle !== 'active')
      throw new AppError('Conflict', 'Cannot rename a non-active experiment.', 'Restore it first.')
    if (experiment.name !== name) await refuseTakenName(db, name)
    await db
      .updateTable('experiments')
      .set({ name, updated_at: now })
      .where('id', '=', experimentNumber(experimentId))
      .execute()
  },

  /** Deletes or restores; the runs of the experiment go and come with it. */
  async setLifecycle(db: Db, experimentId: ExperimentId, lifecycle: 'active' | 'deleted', now: EpochMs): Promise<void> {
    const id = experimentNumber(experimentId)
    const from = lifecycle === 'active' ? 'deleted' : 'active'
    const { numUpdatedRows } = await db
      .updateTable('experiments')
      .set({ lifecycle_stage: lifecycle, updated_at: now })
      .where('id', '=', id)
      .where('lifecycle_stage', '=', from)
      .executeTakeFirst()
    if (numUpdatedRows === 0n) throw noExperiment(experimentId)
    await db
      .updateTable('runs')
      .set({ lifecycle_stage: lifecycle, deleted_at: lifecycle === 'deleted' ? now : null })
      .where('experiment_id', '=', id)
      .execute()
  },

  async setTag(db: Db, experimentId: ExperimentId, tag: KeyValue): Promise<void> {
    checkTag(tag, '', limits.experimentTagValue)
    await db
      .insertInto('experiment_tags')
      .values({ experiment_id: experimentNumber(experimentId), key: tag.key, value: tag.value })
      .onConflict((c) => c.columns(['experiment_id', 'key']).doUpdateSet({ value: tag.value }))
      .execute()
  },

  async deleteTag(db: Db, experimentId: ExperimentId, key: string): Promise<void> {
    const { numDeletedRows } = await db
      .deleteFrom('experiment_tags')
      .where('experiment_id', '=', experimentNumber(experimentId))
      .where('key', '=', key)
      .executeTakeFirst()
    if (numDeletedRows === 0n)
      throw new AppError(
        'NotFound',
        `No tag with name: ${key} in experiment with id ${experimentId}`,
        'Nothing to delete.',
      )
  },

  async search(db: Db, search: ExperimentSearch): Promise<Found<Experiment>> {
    const sort = sortOf(search.orderBy ?? [])
    const question = { of: 'experiments', filter: search.filter ?? '', order: search.orderBy ?? [], view: search.view }
    const after = readPageToken(question, search.pageToken, sort.length)
    let query = db
      .selectFrom('experiments as e')
      .selectAll()
      .select(sort.map((column, index) => sql<string | number | null>`${column.expression}`.as(`s${index}`)))
      .orderBy(orderSql(sort))
      .limit(search.limit + 1)
    if (search.view !== 'all') query = query.where('e.lifecycle_stage', '=', search.view)
    const visible = visibleSql(sql.ref('e.id'), search.visible && visibleNumbers(search.visible))
    if (visible) query = query.where(visible)
    for (const clause of parseFilter(search.filter, experimentGrammar))
      query = query.where(
        clause.type === 'tag'
          ? tagSql(clause)
          : compareSql(sql.ref(`e.${experimentColumn[clause.key]}`), experimentValue(clause)),
      )
    if (after) query = query.where(afterSql(sort, after))
    const rows = await query.execute()
    const items = await withTags(db, rows.slice(0, search.limit))
    return { items, ...nextPage(question, rows, search.limit, sort.length) }
  },
}

/** The token of the page after these rows, where one more row than asked for was found. */
export function nextPage(
  question: unknown,
  rows: readonly object[],
  limit: number,
  columns: number,
): { nextPageToken?: string } {
  if (rows.length <= limit) return {}
  const last = rows[limit - 1] as Record<string, unknown>
  return {
    nextPageToken: pageTokenFor(
      question,
      Array.from({ length: columns }, (_, index) => last[`s${index}`]),
    ),
  }
}

/** No experiment has a number beyond the safe ones, nor a negative one: such an id is well-formed and names nothing. */
export function experimentNumber(experimentId: ExperimentId): number {
  if (!/^\s*[+-]?\d+\s*$/.test(experimentId))
    throw invalid(`Invalid experiment ID '${experimentId}'. Experiment ID must be a valid integer.`)
  const number = Number(experimentId)
  return Number.isSafeInteger(number) ? number : -1
}

const experimentColumn: Record<string, string> = {
  name: 'name',
  experiment_id: 'id',
  creation_time: 'created_at',
  last_update_time: 'updated_at',
}

const experimentGrammar: Grammar<'tag'> = {
  types: { attribute: 'attribute', attributes: 'attribute', tag: 'tag', tags: 'tag' },
  attributes: {
    name: { name: 'name', value: 'text' },
    experiment_id: { name: 'experiment_id', value: 'text' },
    creation_time: { name: 'creation_time', value: 'number' },
    last_update_time: { name: 'last_update_time', value: 'number' },
  },
  lists: ['experiment_id'],
  nullable: ['tag'],
  numeric: [],
}

type ExperimentClause = ReturnType<typeof parseFilter<'tag'>>[number]

/** Ids are numbers in the table and texts in the filter. */
function experimentValue(clause: ExperimentClause): ExperimentClause {
  if (clause.key !== 'experiment_id') return clause
  if (!['=', '!=', 'IN', 'NOT IN'].includes(clause.comparator))
    throw invalid(`Invalid comparator for experiment_id: ${clause.comparator}`)
  const { value } = clause
  return {
    ...clause,
    value: Array.isArray(value)
      ? (value.map(experimentNumber) as unknown as string[])
      : experimentNumber(String(value)),
  }
}

function tagSql(clause: ExperimentClause) {
  const own = sql`select 1 from experiment_tags t where t.experiment_id = e.id and t.key = ${clause.key}`
  if (clause.comparator === 'IS NULL') return sql<boolean>`not exists (${own})`
  if (clause.comparator === 'IS NOT NULL') return sql<boolean>`exists (${own})`
  return sql<boolean>`exists (${own} and ${compareSql(sql.ref('t.value'), clause)})`
}

/** By creation, newest first, then by number, newest first, unless told otherwise. */
function sortOf(orderBy: readonly string[]): SortColumn[] {
  const terms = parseOrder(orderBy, experimentGrammar)
  for (const { type } of terms) if (type !== 'attribute') throw invalid(`Invalid order_by entity: ${type}`)
  const columns = terms.map((term) => ({
    expression: sql.ref(`e.${experimentColumn[term.key]}`),
    descending: term.descending,
  }))
  const asked = terms.map((term) => term.key)
  if (asked.length === 0) columns.push({ expression: sql.ref('e.created_at'), descending: true })
  if (!asked.includes('experiment_id')) columns.push({ expression: sql.ref('e.id'), descending: true })
  return columns
}

async function refuseTakenName(db: Db, name: string): Promise<void> {
  const taken = await db
    .selectFrom('experiments')
    .select(['id', 'lifecycle_stage'])
    .where('name', '=', name)
    .executeTakeFirst()
  if (!taken) return
  throw new AppError(
    'AlreadyExists',
    taken.lifecycle_stage === 'active'
      ? `Experiment(name=${name}) already exists.`
      : `Experiment '${name}' already exists in deleted state. You can restore the experiment, or permanently delete the experiment to create a new one.`,
    'Choose another name.',
  )
}

async function withTags(db: Db, rows: readonly Row[]): Promise<Experiment[]> {
  if (rows.length === 0) return []
  const tags = await db
    .selectFrom('experiment_tags')
    .selectAll()
    .where(
      'experiment_id',
      'in',
      rows.map((row) => row.id),
    )
    .execute()
  return rows.map((row) => ({
    experimentId: String(row.id),
    name: row.name,
    artifactLocation: row.artifact_location,
    lifecycle: row.lifecycle_stage as Experiment['lifecycle'],
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    tags: Object.fromEntries(tags.filter((tag) => tag.experiment_id === row.id).map((tag) => [tag.key, tag.value])),
  }))
}

const noExperiment = (experimentId: string): AppError =>
  new AppError('NotFound', `No Experiment with id=${experimentId} exists`, 'List experiments to see which there are.')

const visibleNumbers = (visible: Visible<ExperimentId>): Visible<number> =>
  'only' in visible ? { only: numbersOf(visible.only) } : { except: numbersOf(visible.except) }

/** A permission may name an experiment that cannot be. */
const numbersOf = (ids: readonly ExperimentId[]): number[] => ids.filter((id) => /^\d{1,15}$/.test(id)).map(Number)
