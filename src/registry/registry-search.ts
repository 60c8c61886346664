import { type RawBuilder, type SqlBool, sql } from 'kysely'
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
  parseOrderTerm,
  readPageToken,
  type Search,
  type SortColumn,
} from '../tracking/index.ts'
import type { ModelVersion, RegisteredModel } from './registry.ts'
import { type ModelRow, modelRows, type VersionRow, versionRows } from './registry-store.ts'

const text = (name: string) => ({ name, value: 'text' as const })
const number = (name: string) => ({ name, value: 'number' as const })
const types = { attribute: 'attribute', attributes: 'attribute', tag: 'tag', tags: 'tag' } as const
const modelAttributes = { name: text('m.name') }
const modelOrder = {
  ...modelAttributes,
  timestamp: number('m.updated_at'),
  last_updated_timestamp: number('m.updated_at'),
  creation_timestamp: number('m.created_at'),
}
const versionAttributes = {
  name: text('m.name'),
  version_number: number('v.version'),
  run_id: text('v.run_id'),
  source_path: text('v.source'),
}
const versionOrder = {
  ...versionAttributes,
  creation_timestamp: number('v.created_at'),
  last_updated_timestamp: number('v.updated_at'),
}

const grammar = (attributes: Grammar['attributes'], lists: string[]): Grammar<'tag'> => ({
  types,
  attributes,
  lists,
  nullable: [],
  numeric: [],
})

/** Prompts live among the models, marked by a tag; they are shown only to who asks for them. */
const promptTag = 'mlflow.prompt.is_prompt'

export async function searchModels(db: Db, search: Search): Promise<Found<RegisteredModel>> {
  const clauses = parseFilter(search.filter, grammar(modelAttributes, ['m.name']))
  const sort = sortOf(search.orderBy ?? [], modelOrder, [{ column: 'm.name', descending: false }])
  const found = await pageOf<ModelRow>(db, {
    of: 'models',
    search,
    sort,
    select: sql`m.*`,
    from: sql`registered_models m`,
    conditions: withoutPrompts(clauses, sql`registered_model_tags t where t.model_key = m.id`),
  })
  return { ...found, items: await modelRows.complete(db, found.items) }
}

export async function searchVersions(db: Db, search: Search): Promise<Found<ModelVersion>> {
  const clauses = parseFilter(search.filter, grammar(versionAttributes, ['m.name', 'v.run_id']))
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
    conditions: [sql`v.deleted_at is null`, ...withoutPrompts(clauses, ownTags)],
  })
  return { ...found, items: await versionRows.complete(db, found.items) }
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
  if (clause.type === 'attribute') return compareSql(sql.ref(clause.key), clause)
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
  attributes: Grammar['attributes'],
  then: readonly { column: string; descending: boolean }[],
): SortColumn[] {
  const asked = orderBy.map((term) => {
    const { type, key, descending } = parseOrderTerm(term, grammar(attributes, []))
    if (type !== 'attribute') throw invalid(`Invalid order_by entity: ${type}`)
    return { column: key, descending }
  })
  const names = asked.map((term) => term.column)
  if (new Set(names).size < names.length)
    throw invalid(`\`order_by\` contains duplicate fields: ${JSON.stringify(orderBy)}`)
  return [...asked, ...then.filter((term) => !names.includes(term.column))].map(({ column, descending }) => ({
    expression: sql.ref(column),
    descending,
  }))
}
