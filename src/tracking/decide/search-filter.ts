import { invalid } from './limits.ts'

/**
 * MLflow's filter grammar, for whatever is searched: `clause AND clause …`, a clause is `entity.key comparator value`.
 * Keys may stand in backticks or double quotes, strings in single or double quotes, lists in parentheses.
 * Nothing of the text ever becomes part of a statement: a clause is data, its key and value are bound as parameters.
 * Source: mlflow 3.17.2, utils/search_utils.py (SearchUtils and its subclasses).
 */
const comparators = [
  '=',
  '!=',
  '<',
  '<=',
  '>',
  '>=',
  'LIKE',
  'ILIKE',
  'IN',
  'NOT IN',
  'IS NULL',
  'IS NOT NULL',
] as const
type Comparator = (typeof comparators)[number]

export type Clause<Type extends string = string> = {
  type: Type
  key: string
  comparator: Comparator
  value: string | number | string[] | undefined
}

/** What may be asked about one kind of thing. */
export type Grammar<Type extends string = string> = {
  /** Each spelling of a type → the type. A key without a type is an attribute. */
  types: Record<string, Type | 'attribute'>
  /** Attribute (in each spelling) → its name in our words and how its value is written. */
  attributes: Record<string, { name: string; value: 'text' | 'number' }>
  /** Keys that a type other than attribute, metric, param and tag is limited to. */
  keys?: Partial<Record<Type, readonly string[]>>
  /** Attributes, or whole types, that may be compared with a list. */
  lists: readonly string[]
  /** Types that may be asked for absence. */
  nullable: readonly string[]
  numeric: readonly string[]
}

export type OrderTerm<Type extends string = string> = { type: Type | 'attribute'; key: string; descending: boolean }

/** Throws BadRequest, in MLflow's words where it has some, for what is not in the grammar. An empty text asks nothing. */
export function parseFilter<Type extends string>(
  text: string | undefined,
  grammar: Grammar<Type>,
): Clause<Type | 'attribute'>[] {
  const tokens = tokensOf(text ?? '')
  const clauses: Clause<Type | 'attribute'>[] = []
  const reader = new TokenReader(tokens, text ?? '')
  while (!reader.atEnd()) {
    // MLflow minds neither an AND too many nor one at an end.
    if (reader.takeWord('AND')) continue
    if (clauses.length > 0 && !reader.took('AND')) throw reader.unexpected()
    clauses.push(readClause(reader, grammar))
  }
  return clauses
}

/** `metrics.auc DESC`, `` tags.`a b` ``, `start_time ASC`. Ascending unless said otherwise. */
export function parseOrderTerm<Type extends string>(text: string, grammar: Grammar<Type>): OrderTerm<Type> {
  const reader = new TokenReader(tokensOf(text), text)
  const name = reader.take('name')
  if (!name) throw invalid(`Invalid order_by clause '${text}'. Could not be parsed.`)
  const descending = reader.takeWord('DESC')
  if (!descending && !reader.takeWord('ASC') && reader.peek()?.kind === 'name')
    throw invalid(`Invalid ordering key in order_by clause '${text}'.`)
  if (!reader.atEnd()) throw invalid(`Invalid order_by clause '${text}'. Could not be parsed.`)
  return { ...identify(name, grammar), descending }
}

type Token = { kind: 'name' | 'text' | 'number' | 'operator' | 'punctuation' | 'unknown'; text: string }

const tokenPatterns: [Token['kind'], RegExp][] = [
  ['number', /-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])/y],
  ['text', /'(?:''|\\'|[^'])*'/y],
  ['name', /(?:`[^`]*`|[A-Za-z_][\w]*)(?:\.(?:`[^`]*`|"[^"]*"|'[^']*'|[\w.]+))*/y],
  ['text', /"(?:""|\\"|[^"])*"/y],
  ['operator', />=|<=|!=|<>|==|=|>|</y],
  ['punctuation', /[(),;]/y],
]

function tokensOf(text: string): Token[] {
  const tokens: Token[] = []
  let position = 0
  while (position < text.length) {
    if (/\s/.test(text[position]!)) {
      position++
      continue
    }
    const token = tokenAt(text, position)
    tokens.push(token)
    position += token.text.length
  }
  return tokens
}

function tokenAt(text: string, position: number): Token {
  for (const [kind, pattern] of tokenPatterns) {
    pattern.lastIndex = position
    const match = pattern.exec(text)
    if (match) return { kind, text: match[0] }
  }
  return { kind: 'unknown', text: /\S+/.exec(text.slice(position))![0] }
}

class TokenReader {
  readonly #tokens: readonly Token[]
  readonly #whole: string
  #position = 0

  constructor(tokens: readonly Token[], whole: string) {
    this.#tokens = tokens
    this.#whole = whole
  }

  atEnd(): boolean {
    return this.#position >= this.#tokens.length
  }

  peek(): Token | undefined {
    return this.#tokens[this.#position]
  }

  take(kind: Token['kind'], text?: string): string | undefined {
    const token = this.peek()
    if (token?.kind !== kind || (text !== undefined && token.text !== text)) return undefined
    this.#position++
    return token.text
  }

  takeWord(word: string): boolean {
    if (this.peek()?.text.toUpperCase() !== word) return false
    this.#position++
    return true
  }

  /** Whether the word is what was taken last. */
  took(word: string): boolean {
    return this.#tokens[this.#position - 1]?.text.toUpperCase() === word
  }

  unexpected(): Error {
    const token = this.peek()
    if (token?.text === ';')
      return invalid(`Search filter contained multiple expression '${this.#whole}'. Provide AND-ed expression list.`)
    return invalid(`Invalid clause(s) in filter string: '${token?.text ?? ''}'`)
  }
}

function readClause<Type extends string>(reader: TokenReader, grammar: Grammar<Type>): Clause<Type | 'attribute'> {
  const name = reader.take('name')
  if (!name) throw reader.unexpected()
  const comparator = readComparator(reader, name)
  const { type, key } = identify(name, grammar)
  checkComparator(type, key, comparator, grammar)
  return { type, key, comparator, value: readValueOf(reader, { type, key, name, comparator, grammar }) }
}

function readComparator(reader: TokenReader, name: string): Comparator {
  const operator = reader.take('operator')
  if (operator && (comparators as readonly string[]).includes(operator)) return operator as Comparator
  if (operator) throw invalid(`Invalid comparison clause. Invalid comparator '${operator}' after '${name}'`)
  if (reader.takeWord('LIKE')) return 'LIKE'
  if (reader.takeWord('ILIKE')) return 'ILIKE'
  if (reader.takeWord('IN')) return 'IN'
  if (reader.takeWord('NOT') && reader.takeWord('IN')) return 'NOT IN'
  if (reader.takeWord('IS')) {
    const negated = reader.takeWord('NOT')
    if (reader.takeWord('NULL')) return negated ? 'IS NOT NULL' : 'IS NULL'
  }
  throw invalid(`Invalid clause(s) in filter string: '${name}'`)
}

function identify<Type extends string>(
  name: string,
  grammar: Grammar<Type>,
): { type: Type | 'attribute'; key: string } {
  const dot = name.startsWith('`') ? name.indexOf('.', name.indexOf('`', 1)) : name.indexOf('.')
  const type = dot === -1 ? 'attribute' : grammar.types[unquoted(name.slice(0, dot))]
  if (type === undefined)
    throw invalid(
      `Invalid entity type '${name.slice(0, dot)}'. Valid values are ${pythonList([...new Set(Object.values(grammar.types))])}`,
    )
  const key = unquoted(dot === -1 ? name : name.slice(dot + 1))
  if (type === 'attribute') {
    const attribute = Object.hasOwn(grammar.attributes, key) ? grammar.attributes[key] : undefined
    if (!attribute)
      throw invalid(
        `Invalid attribute key '${key}' specified. Valid keys are '${pythonList(Object.keys(grammar.attributes))}'`,
      )
    return { type, key: attribute.name }
  }
  const keys = grammar.keys?.[type as Type]
  if (keys && !keys.includes(key))
    throw invalid(`Invalid ${type} key '${key}' specified. Valid keys are '${pythonList(keys)}'`)
  return { type, key }
}

function checkComparator<Type extends string>(
  type: string,
  key: string,
  comparator: Comparator,
  grammar: Grammar<Type>,
): void {
  const allowed = allowedComparators(type, key, grammar)
  if (allowed.includes(comparator)) return
  if (comparator.startsWith('IS '))
    throw invalid(`IS NULL / IS NOT NULL is only supported for ${nullableNames(grammar)}, not for '${type}' '${key}'`)
  if (type === 'attribute' && comparator.endsWith('IN'))
    throw invalid(
      `Only ${pythonList(grammar.lists)} attributes support comparison with a list of quoted string values.`,
    )
  throw invalid(`Invalid comparator '${comparator}' not one of '${pythonList(allowed)}'`)
}

const nullableNames = (grammar: Grammar): string =>
  grammar.nullable.map((type) => (type === 'parameter' ? 'params' : `${type}s`)).join(' and ') || 'nothing here'

const numberComparators: readonly Comparator[] = ['=', '!=', '<', '<=', '>', '>=']
const textComparators: readonly Comparator[] = ['=', '!=', 'LIKE', 'ILIKE']

function allowedComparators(type: string, key: string, grammar: Grammar): readonly Comparator[] {
  if (isNumeric(type, key, grammar)) return numberComparators
  const lists: Comparator[] =
    grammar.lists.includes(type) || (type === 'attribute' && grammar.lists.includes(key)) ? ['IN', 'NOT IN'] : []
  const nulls: Comparator[] = grammar.nullable.includes(type) ? ['IS NULL', 'IS NOT NULL'] : []
  return [...textComparators, ...lists, ...nulls]
}

const isNumeric = (type: string, key: string, grammar: Grammar): boolean =>
  type === 'attribute'
    ? Object.values(grammar.attributes).some((attribute) => attribute.name === key && attribute.value === 'number')
    : grammar.numeric.includes(type)

type Left = { type: string; key: string; name: string; comparator: Comparator; grammar: Grammar }

function readValueOf(reader: TokenReader, left: Left): Clause['value'] {
  if (left.comparator.startsWith('IS ')) return undefined
  if (left.comparator === 'IN' || left.comparator === 'NOT IN') return readList(reader)
  if (isNumeric(left.type, left.key, left.grammar)) {
    const number = reader.take('number')
    if (number !== undefined) return Number(number)
    const found = reader.peek()?.text ?? ''
    throw invalid(
      left.type === 'attribute'
        ? `Expected numeric value type for numeric attribute: ${left.name.replace(/^.*\./, '')}. Found ${found}`
        : `Expected numeric value type for ${left.type}. Found ${found}`,
    )
  }
  const text = reader.take('text')
  if (text !== undefined) return text.slice(1, -1)
  const found = reader.peek()
  if (found?.kind === 'name')
    throw invalid(
      `Parameter value is either not quoted or unidentified quote types used for string value ${found.text}. Use either single or double quotes.`,
    )
  throw invalid(
    left.type === 'attribute'
      ? `Expected a quoted string value for attributes. Got value ${found?.text ?? ''}`
      : `Expected a quoted string value for ${left.type} (e.g. 'my-value'). Got value ${found?.text ?? ''}`,
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
    if (text === undefined)
      throw reader.peek()?.kind === 'number'
        ? invalid(
            `While parsing a list in the query, expected string value, punctuation, or whitespace, but got different type in list: ${reader.peek()!.text}`,
          )
        : illFormed()
    values.push(text.slice(1, -1))
  }
  if (values.length === 0)
    throw invalid('While parsing a list in the query, expected a non-empty list of string values, but got empty list')
  return values
}

const unquoted = (text: string): string => (text.length >= 2 && /^([`"']).*\1$/s.test(text) ? text.slice(1, -1) : text)

const pythonList = (items: readonly string[]): string => `[${items.map((item) => `'${item}'`).join(', ')}]`
