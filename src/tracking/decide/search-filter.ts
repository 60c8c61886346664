import { pythonList } from '../../kernel/python-text.ts'
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
  /** A text may stand without quotes: MLflow reads it so in the search of logged models, and nowhere else. */
  bareTexts?: boolean
}

export type OrderTerm<Type extends string = string> = { type: Type | 'attribute'; key: string; descending: boolean }

/** Throws BadRequest, in MLflow's words where it has some, for what is not in the grammar. An empty text asks nothing. */
export function parseFilter<Type extends string>(
  text: string | undefined,
  grammar: Grammar<Type>,
): Clause<Type | 'attribute'>[] {
  const tokens = tokensOf(text ?? '')
  if (tokens.length > mostTokens) throw invalid(`A filter holds at most ${mostTokens} words, lists included.`)
  const clauses: Clause<Type | 'attribute'>[] = []
  const reader = new TokenReader(tokens, text ?? '')
  while (!reader.atEnd()) {
    // MLflow minds neither an AND too many nor one at an end.
    if (reader.takeWord('AND')) continue
    if (clauses.length > 0 && !reader.took('AND')) throw reader.unexpected()
    clauses.push(readClause(reader, grammar))
    refuseTooMany(clauses)
  }
  return clauses
}

const mostComparisons = 50

/** Each is a condition or a join of the question to the database, which knows how many it takes only by failing. */
export function refuseTooMany(clauses: readonly unknown[]): void {
  if (clauses.length > mostComparisons) throw invalid(`A filter holds at most ${mostComparisons} comparisons.`)
}

/** SQLite binds 32,766 values to a statement, and a listed value is a word and a comma (sqlite.org/limits.html). */
const mostTokens = 30_000
/** Each of them may be a join, of which SQLite takes 64 (sqlite.org/limits.html). */
const mostOrderTerms = 30

/** Each as `parseOrderTerm` reads it. */
export function parseOrder<Type extends string>(texts: readonly string[], grammar: Grammar<Type>): OrderTerm<Type>[] {
  if (texts.length > mostOrderTerms)
    throw invalid(`A search is ordered by at most ${mostOrderTerms} fields. Got ${texts.length}.`)
  return texts.map((text) => parseOrderTerm(text, grammar))
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

export function tokensOf(text: string): Token[] {
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

export class TokenReader {
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

  /** The next token's text; a list in parentheses is one. */
  peekWhole(): string {
    const token = this.peek()
    if (token?.text !== '(') return token?.text ?? ''
    const rest = this.#tokens.slice(this.#position)
    const end = rest.findIndex(({ text }) => text === ')')
    return rest
      .slice(0, end === -1 ? undefined : end + 1)
      .map(({ text }) => text)
      .join('')
  }

  take(kind: Token['kind'], text?: string): string | undefined {
    const token = this.peek()
    if (token?.kind !== kind || (text !== undefined && token.text !== text)) return undefined
    this.#position++
    return token.text
  }

  /** On the left of a comparison `"run_name"` is a name. */
  takeQuotedName(): string | undefined {
    return this.peek()?.text.startsWith('"') ? this.take('text') : undefined
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
    const isLast = this.#position === this.#tokens.length - 1
    if (token?.text === ';' && !isLast)
      return invalid(`Search filter contained multiple expression '${this.#whole}'. Provide AND-ed expression list.`)
    return invalid(`Invalid clause(s) in filter string: '${token?.text ?? ''}'`)
  }
}

function readClause<Type extends string>(reader: TokenReader, grammar: Grammar<Type>): Clause<Type | 'attribute'> {
  const name = reader.take('name') ?? reader.takeQuotedName()
  if (!name) throw reader.unexpected()
  const comparator = readComparator(reader, name)
  const { type, key } = identify(name, grammar)
  const left = { type, key, name, comparator, grammar }
  // MLflow looks at the value before it asks whether the comparator goes with it.
  if (comparator.startsWith('IS ')) checkComparator(left)
  const value = readValueOf(reader, left)
  checkComparator(left)
  return { type, key, comparator, value }
}

function readComparator(reader: TokenReader, name: string): Comparator {
  const operator = reader.take('operator')
  if (operator && (comparators as readonly string[]).includes(operator)) return operator as Comparator
  if (operator) throw invalid(`Invalid comparator '${operator}' not one of '${pythonList(comparators)}'`)
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

function checkComparator({ type, key, name, comparator, grammar }: Left): void {
  const allowed = allowedComparators(type, key, grammar)
  if (allowed.includes(comparator)) return
  if (comparator.startsWith('IS '))
    throw invalid(
      `IS NULL / IS NOT NULL is only supported for ${nullableNames(grammar)}, not for '${type}' '${keyOf(name)}'`,
    )
  throw invalid(`Invalid comparator '${comparator}' not one of '${pythonList(allowed)}'`)
}

/** As it was written, without its type. */
const keyOf = (name: string): string => unquoted(name.replace(/^[^.]*\.(?=.)/, ''))

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
  if (isNumeric(left.type, left.key, left.grammar)) {
    const number = reader.take('number')
    if (number !== undefined) return Number(number)
    throw invalid(
      left.type === 'attribute'
        ? `Expected numeric value type for numeric attribute: ${keyOf(left.name)}. Found ${reader.peekWhole()}`
        : `Expected numeric value type for ${left.type}. Found ${reader.peekWhole()}`,
    )
  }
  const isList = left.comparator === 'IN' || left.comparator === 'NOT IN'
  if (isList && allowedComparators(left.type, left.key, left.grammar).includes(left.comparator)) return readList(reader)
  const text = reader.take('text')
  if (text !== undefined) return text.slice(1, -1)
  const bare = left.grammar.bareTexts ? reader.take('name') : undefined
  if (bare !== undefined) return bare
  if (reader.peek()?.kind === 'name')
    throw invalid(
      `Parameter value is either not quoted or unidentified quote types used for string value ${reader.peekWhole()}. Use either single or double quotes.`,
    )
  throw notText(left, reader.peekWhole())
}

function notText({ type, comparator, grammar }: Left, found: string): Error {
  if (type === 'attribute' && comparator.endsWith('IN'))
    return invalid(
      `Only ${pythonList(listAttributes(grammar))} attributes support comparison with a list of quoted string values.`,
    )
  if (type === 'parameter' || type === 'tag')
    return invalid(`Expected a quoted string value for ${type} (e.g. 'my-value'). Got value ${found}`)
  const what = type === 'attribute' ? 'attributes' : `${type} attributes`
  return invalid(`Expected a quoted string value for ${what}. Got value ${found}`)
}

/** The rest of the lists are of whole types. */
const listAttributes = (grammar: Grammar): string[] =>
  grammar.lists.filter((name) => Object.values(grammar.attributes).some((attribute) => attribute.name === name))

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

export const unquoted = (text: string): string =>
  text.length >= 2 && /^([`"']).*\1$/s.test(text) ? text.slice(1, -1) : text
