import { linearRegExp } from '../../kernel/linear-regexp.ts'
import { invalid } from '../../tracking/decide/limits.ts'
import { refuseTooMany, TokenReader, tokensOf, unquoted } from '../../tracking/decide/search-filter.ts'
import { traceMetadata, traceTags } from '../traces.ts'

/**
 * MLflow's grammar for traces: `clause AND clause …`, a clause is `entity.key comparator value`.
 * A clause is data; nothing of the text ever becomes part of a statement.
 * Source: mlflow 3.17.2, utils/search_utils.py (SearchTraceUtils).
 */
export type TraceClause =
  | { on: 'attribute'; column: TraceColumn; comparator: string; value: string | number | string[] }
  | { on: 'tag' | 'metadata'; key: string; comparator: string; value: string | undefined }
  | { on: 'run'; runId: string }
  | { on: 'prompt'; version: string }
  | { on: 'span'; column: 'name' | 'type' | 'status' | 'content'; comparator: string; value: string | string[] }
  | { on: 'spanAttribute'; attribute: string; comparator: string; value: string | string[] }
  | { on: 'feedback' | 'expectation'; name: string; comparator: string; value: string | number | undefined }
  | { on: 'issue'; issueId: string }

export type TraceColumn = 'trace_id' | 'started_at' | 'duration_ms' | 'ended_at' | 'state' | 'client_request_id'
export type TraceOrder = { on: 'attribute' | 'tag' | 'metadata'; key: string; descending: boolean }

const entities: Readonly<Record<string, string>> = {
  tag: 'tag',
  tags: 'tag',
  request_metadata: 'metadata',
  metadata: 'metadata',
  attribute: 'attribute',
  attributes: 'attribute',
  trace: 'attribute',
  span: 'span',
  feedback: 'feedback',
  expectation: 'expectation',
  issue: 'issue',
}

const numbers: Readonly<Record<string, TraceColumn>> = {
  timestamp_ms: 'started_at',
  timestamp: 'started_at',
  execution_time_ms: 'duration_ms',
  execution_time: 'duration_ms',
  end_time_ms: 'ended_at',
  end_time: 'ended_at',
}
const texts: Readonly<Record<string, TraceColumn>> = {
  request_id: 'trace_id',
  status: 'state',
  client_request_id: 'client_request_id',
}
const searchable = [...Object.keys(texts), ...Object.keys(numbers), 'name', 'run_id', 'prompt', 'text']
const sortable = [...Object.keys(numbers), 'experiment_id', 'status', 'request_id', 'name', 'run_id']
const listable = ['name', 'status', 'request_id', 'run_id', 'client_request_id']

/** Names of attributes that are kept as a tag or as metadata; MLflow reads them so also behind `tags.` and `metadata.`. */
const asTag: Readonly<Record<string, string>> = { name: traceTags.name, prompt: traceTags.linkedPrompts }
const asMetadata: Readonly<Record<string, string>> = { run_id: traceMetadata.sourceRun }

const forNumbers = ['=', '!=', '<', '<=', '>', '>=']
const forPairs = ['=', '!=', 'LIKE', 'ILIKE', 'RLIKE', 'IS NULL', 'IS NOT NULL']
const forTexts = ['=', '!=', 'IN', 'NOT IN', 'LIKE', 'ILIKE', 'RLIKE']
const forAssessments = [...forPairs, '<', '<=', '>', '>=']

/** Throws BadRequest, in MLflow's words where it has some, for what is not in the grammar. An empty text asks nothing. */
export function parseTraceFilter(text: string | undefined): TraceClause[] {
  const reader = new TokenReader(tokensOf(text ?? ''), text ?? '')
  const clauses: TraceClause[] = []
  while (!reader.atEnd()) {
    if (reader.takeWord('AND')) continue
    if (clauses.length > 0 && !reader.took('AND')) throw reader.unexpected()
    clauses.push(readClause(reader))
    refuseTooMany(clauses)
  }
  return clauses
}

/** `timestamp_ms DESC`, `` tag.`a b` ``. Ascending unless said otherwise. */
export function parseTraceOrder(text: string): TraceOrder {
  const reader = new TokenReader(tokensOf(text), text)
  const name = takeName(reader)
  if (!name) throw invalid(`Invalid order_by clause '${text}'. Could not be parsed.`)
  const descending = reader.takeWord('DESC')
  if (!descending && !reader.takeWord('ASC') && reader.peek()?.kind === 'name')
    throw invalid(`Invalid ordering key in order_by clause '${text}'.`)
  if (!reader.atEnd()) throw invalid(`Invalid order_by clause '${text}'. Could not be parsed.`)
  const { entity, key } = moved(identified(name, sortable))
  if (entity === 'attribute') return { on: 'attribute', key: numbers[key] ?? texts[key] ?? key, descending }
  if (entity === 'tag' || entity === 'metadata') return { on: entity, key, descending }
  throw invalid(`Invalid identifier type '${entity}'`)
}

/** A key in backticks may follow after a dot: ``span.attributes.`a b` `` comes in two pieces. */
export function takeName(reader: TokenReader): string | undefined {
  let name = reader.take('name')
  while (name?.endsWith('.')) {
    const rest = reader.take('name') ?? reader.take('text')
    if (rest === undefined) break
    name += rest
  }
  return name
}

type Identified = { entity: string; key: string }

function readClause(reader: TokenReader): TraceClause {
  const name = takeName(reader)
  if (!name) throw reader.unexpected()
  const given = identified(name, searchable)
  const comparator = readComparator(reader, name)
  const { entity, key } = moved(given)
  switch (entity) {
    case 'attribute':
      return attributeClause(reader, given.key, key, comparator)
    case 'tag':
      return tagClause(reader, given, key, comparator)
    case 'metadata':
      return metadataClause(reader, given, key, comparator)
    case 'span':
      return spanClause(reader, key, comparator)
    case 'issue':
      return issueClause(reader, key, comparator)
    default:
      return assessmentClause(reader, entity as 'feedback' | 'expectation', key, comparator)
  }
}

function identified(name: string, attributes: readonly string[]): Identified {
  const dot = name.startsWith('`') ? name.indexOf('.', name.indexOf('`', 1)) : name.indexOf('.')
  const spelled = dot === -1 ? 'attribute' : unquoted(name.slice(0, dot))
  const entity = Object.hasOwn(entities, spelled) ? entities[spelled]! : undefined
  if (entity === undefined)
    throw invalid(`Invalid entity type '${spelled}'. Valid values are {${quotedList(Object.keys(entities))}}`)
  const key = unquoted(dot === -1 ? name : name.slice(dot + 1))
  if (entity === 'attribute' && !attributes.includes(key))
    throw invalid(`Invalid attribute key '${key}' specified. Valid keys are '{${quotedList(attributes)}}'`)
  return { entity, key }
}

function moved({ entity, key }: Identified): Identified {
  const lower = key.toLowerCase()
  if (!['attribute', 'tag', 'metadata'].includes(entity)) return { entity, key }
  if (Object.hasOwn(asTag, lower)) return { entity: 'tag', key: asTag[lower]! }
  if (Object.hasOwn(asMetadata, lower)) return { entity: 'metadata', key: asMetadata[lower]! }
  return entity === 'attribute' && lower === 'text' ? { entity: 'span', key: 'content' } : { entity, key }
}

function readComparator(reader: TokenReader, name: string): string {
  const operator = reader.take('operator')
  if (operator && forNumbers.includes(operator)) return operator
  if (operator) throw invalid(`Invalid comparison clause. Invalid comparator '${operator}' after '${name}'`)
  for (const word of ['LIKE', 'ILIKE', 'RLIKE', 'IN']) if (reader.takeWord(word)) return word
  if (reader.takeWord('NOT') && reader.takeWord('IN')) return 'NOT IN'
  if (reader.takeWord('IS')) {
    const negated = reader.takeWord('NOT')
    if (reader.takeWord('NULL')) return negated ? 'IS NOT NULL' : 'IS NULL'
  }
  throw invalid(`Invalid clause(s) in filter string: '${name}'`)
}

function attributeClause(reader: TokenReader, given: string, key: string, comparator: string): TraceClause {
  const number = numbers[key]
  if (number) {
    allow(comparator, forNumbers)
    return { on: 'attribute', column: number, comparator, value: readNumber(reader, given) }
  }
  allow(comparator, forTexts)
  const value = isList(comparator) ? readList(reader) : readText(reader, 'attributes')
  return { on: 'attribute', column: texts[key]!, comparator, value: checkedPattern(comparator, value) }
}

function tagClause(reader: TokenReader, given: Identified, key: string, comparator: string): TraceClause {
  if (key === traceTags.linkedPrompts) return promptClause(reader, comparator)
  allowOrList(reader, given, comparator, forPairs)
  return { on: 'tag', key, comparator, value: readTextUnlessNull(reader, 'tag', comparator) }
}

function metadataClause(reader: TokenReader, given: Identified, key: string, comparator: string): TraceClause {
  allowOrList(reader, given, comparator, forPairs)
  const value = readTextUnlessNull(reader, 'request_metadata', comparator)
  // A run has the traces that were made in it, and those that were linked to it.
  if (key === traceMetadata.sourceRun && comparator === '=') return { on: 'run', runId: value! }
  return { on: 'metadata', key, comparator, value }
}

function promptClause(reader: TokenReader, comparator: string): TraceClause {
  if (comparator !== '=')
    throw invalid(
      `Invalid comparator '${comparator}' for prompts filter. Only '=' is supported with format: prompt = "name/version"`,
    )
  const version = readText(reader, 'tag')
  if (version.split('/').length !== 2)
    throw invalid(`Invalid prompts filter value '${version}'. Expected format: prompt = "name/version"`)
  return { on: 'prompt', version }
}

function spanClause(reader: TokenReader, key: string, comparator: string): TraceClause {
  const attribute = key.startsWith('attributes.') ? unquoted(key.slice('attributes.'.length)) : undefined
  if (attribute === '') throw invalid("Span attribute name cannot be empty after 'attributes.'")
  if (attribute === undefined && !['name', 'type', 'status', 'content'].includes(key))
    throw invalid(
      `Invalid span attribute '${key}'. Supported attributes: name, status, type, attributes.<attribute_name>.`,
    )
  const allowed = key === 'content' ? ['LIKE', 'ILIKE'] : forTexts
  if (!allowed.includes(comparator))
    throw invalid(`span.${key} comparator '${comparator}' not one of '{${quotedList(allowed)}}'`)
  const value = checkedPattern(comparator, isList(comparator) ? readList(reader) : readText(reader, 'span'))
  if (attribute !== undefined) return { on: 'spanAttribute', attribute, comparator, value }
  return { on: 'span', column: key as 'name', comparator, value }
}

function issueClause(reader: TokenReader, key: string, comparator: string): TraceClause {
  if (key !== 'id') throw invalid(`Invalid issue attribute '${key}'. Supported attributes: id`)
  if (comparator !== '=') throw invalid(`issue.${key} comparator '${comparator}' not one of '{'='}'`)
  return { on: 'issue', issueId: readText(reader, 'issue') }
}

function assessmentClause(
  reader: TokenReader,
  on: 'feedback' | 'expectation',
  name: string,
  comparator: string,
): TraceClause {
  if (name === '') throw invalid('Assessment field name cannot be empty')
  if (!forAssessments.includes(comparator))
    throw invalid(`assessment.${name} comparator '${comparator}' not one of '{${quotedList(forAssessments)}}'`)
  if (comparator.startsWith('IS ')) return { on, name, comparator, value: undefined }
  if (!['<', '<=', '>', '>='].includes(comparator))
    return { on, name, comparator, value: checkedPattern(comparator, readText(reader, on)) as string }
  const number = reader.take('number')
  if (number === undefined)
    throw invalid(
      `Expected a numeric value for ${on} when using comparator '${comparator}'. Got value ${reader.peek()?.text ?? ''}`,
    )
  return { on, name, comparator, value: Number(number) }
}

const isList = (comparator: string): boolean => comparator === 'IN' || comparator === 'NOT IN'

function allow(comparator: string, allowed: readonly string[]): void {
  if (!allowed.includes(comparator))
    throw invalid(`Invalid comparator '${comparator}' not one of '{${quotedList(allowed)}}'`)
}

/** MLflow reads a list for the attributes that are tags or metadata in truth, and then refuses the comparator. */
function allowOrList(reader: TokenReader, given: Identified, comparator: string, allowed: readonly string[]): void {
  if (isList(comparator) && given.entity === 'attribute' && listable.includes(given.key)) readList(reader)
  allow(comparator, allowed)
}

function readNumber(reader: TokenReader, name: string): number {
  const number = reader.take('number') ?? reader.take('text')?.slice(1, -1)
  if (number !== undefined && number.trim() !== '' && Number.isFinite(Number(number))) return Number(number)
  throw invalid(
    `Expected numeric value type for numeric attribute: ${name}. Found ${number ?? reader.peek()?.text ?? ''}`,
  )
}

const readTextUnlessNull = (reader: TokenReader, of: string, comparator: string): string | undefined =>
  comparator.startsWith('IS ') ? undefined : (checkedPattern(comparator, readText(reader, of)) as string)

function readText(reader: TokenReader, of: string): string {
  const text = reader.take('text')
  if (text !== undefined) return text.slice(1, -1)
  const found = reader.peek()
  if (found?.kind === 'name')
    throw invalid(
      `Parameter value is either not quoted or unidentified quote types used for string value ${found.text}. Use either single or double quotes.`,
    )
  throw invalid(
    of === 'attributes'
      ? `Expected a quoted string value or a list of quoted string values for attributes. Got value ${found?.text ?? ''}`
      : `Expected a quoted string value for ${of} (e.g. 'my-value'). Got value ${found?.text ?? ''}`,
  )
}

function readList(reader: TokenReader): string[] {
  const illFormed = () =>
    invalid('While parsing a list in the query, expected a non-empty list of string values, but got ill-formed list.')
  if (!reader.take('punctuation', '(')) throw illFormed()
  const values: string[] = []
  while (!reader.take('punctuation', ')')) {
    if (values.length > 0 && !reader.take('punctuation', ',')) throw illFormed()
    if (values.length > 0 && reader.take('punctuation', ')')) break
    const text = reader.take('text')
    if (text === undefined) throw illFormed()
    values.push(text.slice(1, -1))
  }
  if (values.length === 0)
    throw invalid('While parsing a list in the query, expected a non-empty list of string values, but got empty list')
  return values
}

function checkedPattern<T extends string | string[]>(comparator: string, value: T): T {
  if (comparator === 'RLIKE' && !linearRegExp(String(value)))
    throw invalid(
      `Invalid regular expression '${String(value)}' after RLIKE. Back references and look-around are not supported.`,
    )
  return value
}

const quotedList = (items: readonly string[]): string => items.map((item) => `'${item}'`).join(', ')
