import { invalid } from '../../tracking/decide/limits.ts'
import { type Clause, type Grammar, parseFilter } from '../../tracking/decide/search-filter.ts'

/** Source: mlflow 3.17.2, utils/search_utils.py, SearchIssuesUtils. */
const grammar: Grammar = {
  types: {},
  attributes: {
    status: { name: 'status', value: 'text' },
    source_run_id: { name: 'source_run_id', value: 'text' },
  },
  lists: [],
  nullable: [],
  numeric: [],
}

/** `status` and `source_run_id`, equal or not. Throws BadRequest for anything else. */
export function issueFilter(filter: string | undefined): Clause[] {
  const clauses = parseFilter(filter, grammar)
  for (const { comparator } of clauses)
    if (comparator !== '=' && comparator !== '!=')
      throw invalid(`Invalid comparator '${comparator}'. Supported comparators: {'=', '!='}`)
  return clauses
}
