import { invalid } from '../../tracking/decide/limits.ts'
import { type Clause, type Grammar, parseFilter, parseOrder } from '../../tracking/decide/search-filter.ts'

export type DatasetClause = Clause<'tag' | 'attribute'>

const text = (name: string) => ({ name, value: 'text' as const })
const number = (name: string) => ({ name, value: 'number' as const })

/** Source: mlflow 3.17.2, utils/search_utils.py, SearchEvaluationDatasetsUtils. */
const grammar: Grammar<'tag'> = {
  types: { tags: 'tag' },
  attributes: {
    name: text('name'),
    created_time: number('created_at'),
    last_update_time: number('updated_at'),
    created_by: text('created_by'),
    last_updated_by: text('updated_by'),
  },
  lists: ['name'],
  nullable: [],
  numeric: [],
}

const orderGrammar: Grammar<'tag'> = {
  ...grammar,
  attributes: {
    name: text('name'),
    created_time: number('created_at'),
    last_update_time: number('updated_at'),
  },
}

/** Throws BadRequest for what is not in the grammar. */
export function datasetFilter(filter: string | undefined): DatasetClause[] {
  const clauses = parseFilter(filter, grammar)
  for (const { key, comparator, value } of clauses) {
    if (comparator === 'NOT IN') throw invalid("List values for 'name' are only supported with the IN comparator.")
    if (typeof value === 'number' && !Number.isInteger(value))
      throw invalid(`Invalid value for numeric attribute '${wireName(key)}': '${value}'`)
  }
  return clauses
}

/** Newest first unless told otherwise. Throws BadRequest for what datasets cannot be ordered by. */
export function datasetOrder(orderBy: readonly string[] | undefined): { column: string; descending: boolean }[] {
  const terms = orderBy?.length ? orderBy : ['created_time DESC']
  return parseOrder(terms, orderGrammar).map(({ type, key, descending }) => {
    if (type === 'tag') throw invalid(`Invalid order_by entity: ${type}`)
    return { column: key, descending }
  })
}

const wireName = (column: string): string =>
  Object.entries(grammar.attributes).find(([, attribute]) => attribute.name === column)?.[0] ?? column
