import { type RawBuilder, type SqlBool, sql } from 'kysely'
import type { Visible } from '../access/index.ts'
import type { Db } from '../db/index.ts'
import {
  afterSql,
  type Clause,
  compareSql,
  type Found,
  type Grammar,
  invalid,
  nextPage,
  orderSql,
  parseFilter,
  readPageToken,
  type Search,
  type SortColumn,
  visibleSql,
} from '../tracking/index.ts'
import { type ModelVersion, promptTag, type RegisteredModel } from './registry.ts'
import { type ModelRow, modelRows, type VersionRow, versionRows } from './registry-store.ts'

const text = (name: string) => ({ name, value: 'text' as const })
const number = (name: string) => ({ name, value: 'number' as const })
const types = { attribute: 'attribute', tag: 'tag', tags: 'tag' } as const
const modelAttributes = { name: text('name') }
const modelOrder = { name: 'm.name', timestamp: 'm.updated_at', last_updated_timestamp: 'm.updated_at' }
const versionAttributes = {
  name: text('name'),
  version_number: number('version_number'),
  run_id: text('run_id'),
  source_path: text('source_path'),
}
const versionOrder = {
  name: 'm.name',
  version_number: 'v.version',
  creation_timestamp: 'v.created_at',
  last_updated_timestamp: 'v.updated_at',
}
/** What a filter's attribute is called in the tables. */
const columns: Record<string, string> = {
  name: 'm.name',
  version_number: 'v.version',
  run_id: 'v.run_id',
  source_path: 'v.source',
}

const grammar = (attributes: Grammar['attributes'], lists: string[]): Grammar<'tag'> => ({
  types,
  attributes,
  lists,
  nullable: [],
  numeric: [],
})

/** What whoever asks may see; all of a kind where it is left out. */
export type RegistrySearch = Search & { visible?: { models?: Visible; prompts?: Visible } }

export async function searchModels(db: Db, search: RegistrySearch): Promise<Found<RegisteredModel>> {
  const clauses = parseFilter(search.filter, grammar(modelAttributes, ['name']))
  const sort = sortOf(search.orderBy ?? [], modelOrder, [{ column: 'm.name', descending: false }])
  const found = await pageOf<ModelRow>(db, {
    of: 'models',
    search,
    sort,
    select: sql`m.*`,
    from: sql`registered_models m`,
    conditions: [...withoutPrompts(clauses, modelTags), ...visibleModels(search)],
  })
  return { ...found, items: await modelRows.complete(db, found.items) }
}

export async function searchVersions(db: Db, search: RegistrySearch): Promise<Found<ModelVersion>> {
  const clauses = parseFilter(search.filter, grammar(versionAttributes, ['name', 'run_id']))
  const asked = search.orderBy ?? []
  const sort = sortOf(asked, versionOrder, [
    ...(asked.length === 0 ? [{ column: 'v.updated_at', descending: true }] : []),
    { column: 'm.name', descending: false },
    { column: 'v.version', descending: true },
  ])
  const ownTags = sql`model_version_tags t where t.model_key = v.model_key and t.version = v.version`
  const found = await pageOf<VersionRow>(db, {
    of: 'versions',
    search,
    sort,
    select: sql`v.*`,
    from: sql`model_versions v join registered_models m on m.id = v.model_key`,
    conditions: [sql`v.deleted_at is null`, ...withoutPrompts(clauses, ownTags), ...visibleModels(search)],
  })
  return { ...found, items: await versionRows.complete(db, found.items) }
}

const modelTags = sql`registered_model_tags t where t.model_key = m.id`

function visibleModels({ visible }: RegistrySearch): RawBuilder<SqlBool>[] {
  const models = visibleSql(sql.ref('m.name'), visible?.models)
  const prompts = visibleSql(sql.ref('m.name'), visible?.prompts)
  if (!models && !prompts) return []
  const isPrompt = sql<SqlBool>`exists (select 1 from ${modelTags} and t.key = ${promptTag} and lower(t.value) = 'true')`
  return [sql`((${isPrompt} and ${prompts ?? sql`1 = 1`}) or (not ${isPrompt} and ${models ?? sql`1 = 1`}))`]
}

type PageQuestion = {
  of: string
  search: Search
  sort: SortColumn[]
  select: RawBuilder<unknown>
  from: RawBuilder<unknown>
  conditions: RawBuilder<unknown>[]
}

async function pageOf<Row extends object>(db: Db, page: PageQuestion): Promise<Found<Row>> {
  const { search, sort } = page
  const question = { of: page.of, filter: search.filter ?? '', order: search.orderBy ?? [] }
  const after = readPageToken(question, search.pageToken, sort.length)
  const conditions = [sql`1 = 1`, ...page.conditions, ...(after ? [afterSql(sort, after)] : [])]
  const sorted = sort.map(({ expression }, index) => sql`${expression} as ${sql.ref(`s${index}`)}`)
  const { rows } = await sql<Row>`select ${page.select}, ${sql.join(sorted)} from ${page.from}
    where ${sql.join(conditions, sql` and `)} order by ${orderSql(sort)} limit ${search.limit + 1}`.execute(db)
  return { items: rows.slice(0, search.limit), ...nextPage(question, rows, search.limit, sort.length) }
}

function clauseSql(clause: Clause, ownTags: RawBuilder<unknown>): RawBuilder<SqlBool> {
  if (clause.type === 'attribute') {
    if (typeof clause.value === 'number' && !Number.isSafeInteger(clause.value))
      throw invalid(`Invalid value for numeric attribute '${clause.key}': ${clause.value}`)
    return compareSql(sql.ref(columns[clause.key]!), clause)
  }
  return sql`exists (select 1 from ${ownTags} and t.key = ${clause.key} and ${compareSql(sql.ref('t.value'), clause)})`
}

/**
 * A search that does not ask for prompts leaves them out, whatever else it says of their tag: models do not carry it,
 * so that a comparison with it would leave out the models. As MLflow does.
 */
function withoutPrompts(clauses: readonly Clause[], ownTags: RawBuilder<unknown>): RawBuilder<SqlBool>[] {
  const first = clauses.find(isOfPrompts)
  const asksForPrompts =
    (first?.comparator === '=' && String(first.value).toLowerCase() === 'true') ||
    (first?.comparator === '!=' && String(first.value).toLowerCase() === 'false')
  if (asksForPrompts) return clauses.map((clause) => clauseSql(clause, ownTags))
  return [
    ...clauses.filter((clause) => !isOfPrompts(clause)).map((clause) => clauseSql(clause, ownTags)),
    sql`not exists (select 1 from ${ownTags} and t.key = ${promptTag} and t.value = 'true')`,
  ]
}

const isOfPrompts = (clause: Clause): boolean => clause.type === 'tag' && clause.key === promptTag

/** What was asked for, then what makes the order complete, without naming a column twice. */
function sortOf(
  orderBy: readonly string[],
  keys: Record<string, string>,
  then: readonly { column: string; descending: boolean }[],
): SortColumn[] {
  const asked = orderBy.map((term) => orderTerm(term, keys))
  const names = asked.map((term) => term.column)
  if (new Set(names).size < names.length)
    throw invalid(`\`order_by\` contains duplicate fields: [${orderBy.map((term) => `'${term}'`).join(', ')}]`)
  return [...asked, ...then.filter((term) => !names.includes(term.column))].map(({ column, descending }) => ({
    expression: sql.ref(column),
    descending,
  }))
}

function orderTerm(text: string, keys: Record<string, string>): { column: string; descending: boolean } {
  const [, key, direction] = /^\s*(\S+)(?:\s+(asc|desc))?\s*$/i.exec(text) ?? []
  if (key === undefined)
    throw invalid(
      /^\s*\S+\s+\S+\s*$/.test(text)
        ? `Invalid ordering key in order_by clause '${text}'.`
        : `Invalid order_by clause '${text}'. Could not be parsed.`,
    )
  if (Object.hasOwn(keys, key)) return { column: keys[key]!, descending: direction?.toLowerCase() === 'desc' }
  const valid = Object.keys(keys).map((known) => `'${known}'`)
  throw invalid(`Invalid order by key '${key}' specified. Valid keys are '{${valid.join(', ')}}'`)
}
