import type { FastifyRequest } from 'fastify'
import { pythonJson } from '../../kernel/python-text.ts'
import { invalid } from '../../tracking/index.ts'

/**
 * Reads a request as MLflow's server does, in its two steps: protobuf takes the fields in the order of the body until one does not
 * parse (what follows it is then absent), and the schema asks for what is required and, where protobuf gave up, for loose types.
 * So a value that only protobuf minds is dropped, not refused. Names in snake_case or camelCase, integers also as texts.
 * Source: mlflow 3.17.2, server/handlers.py (_get_request_message); protobuf's json_format.
 */
export type Reader<T> = {
  required: boolean
  /** Undefined where the value does not parse; `Partly` where the part before the flaw counts; `ignored` as if it were not there. */
  read: (value: unknown) => T | Partly<T> | typeof ignored | undefined
  /** What the schema asks of a value that protobuf did not take; else only what parses passes. */
  passes?: (value: unknown) => boolean
  /** What protobuf answers for a field that is absent; given to a required one that passed unread. */
  zero?: T
  absentIsZero?: boolean
}
type Shape = Record<string, Reader<unknown>>
type Message<S extends Shape> = { [K in keyof S]: S[K] extends Reader<infer T> ? T : never }

export const seeDocs = ' See the API docs for more information about request parameters.'
const ignored = Symbol('ignored')

class Partly<T> {
  readonly value: T

  constructor(value: T) {
    this.value = value
  }
}

export function readMessage<S extends Shape>(request: FastifyRequest, shape: S): Message<S> {
  const source = sourceOf(request, shape)
  refuseTwoSpellings(source, shape)
  const plan = planOf(shape)
  const { message, broken } = parsed(source, plan)
  for (const [name, reader] of Object.entries(shape)) {
    const value = source[name] ?? (name === 'run_id' ? source.run_uuid : undefined)
    if (reader.required && isMissing(value)) throw missing(name)
    if (broken && value !== undefined && !passes(reader, value)) throw misfitting(name, value, request)
  }
  checkNested(message)
  return withZeros(message, plan) as Message<S>
}

type Parsed = { message: Record<string, unknown>; broken: boolean }

/** Missing fields of list items, found after the fields of the message itself: `metrics[3].value`. */
const nestedChecks = new WeakMap<object, () => void>()

function parsed(source: Record<string, unknown>, { fields }: Plan): Parsed {
  const message: Record<string, unknown> = {}
  for (const key in source) {
    const field = fields.get(key)
    const value = source[key]
    if (field === undefined || value === undefined || value === null) continue
    if (typeof value === 'string' && value.includes('\0')) throw withNul(field.name)
    const read = field.reader.read(value)
    if (read === ignored) continue
    if (read === undefined) return { message, broken: true }
    if (read instanceof Partly) {
      message[field.name] ??= read.value
      return { message, broken: true }
    }
    message[field.name] = read
  }
  return { message, broken: false }
}

type Field = { name: string; reader: Reader<unknown> }
/** What reading needs of a shape, worked out once: a batch has a thousand messages of one. */
type Plan = { fields: Map<string, Field>; required: string[]; zeros: [name: string, zero: unknown][] }
const plans = new WeakMap<Shape, Plan>()

function planOf(shape: Shape): Plan {
  const known = plans.get(shape)
  if (known) return known
  const plan: Plan = { fields: new Map(), required: [], zeros: [] }
  for (const [name, reader] of Object.entries(shape)) {
    for (const spelling of spellings(name)) plan.fields.set(spelling, { name, reader })
    if (reader.required) plan.required.push(name)
    if ((reader.required || reader.absentIsZero) && reader.zero !== undefined) plan.zeros.push([name, reader.zero])
  }
  plans.set(shape, plan)
  return plan
}

/** Older clients say run_uuid where newer ones say run_id. */
const spellings = (name: string): string[] =>
  name === 'run_id' ? ['run_id', 'runId', 'run_uuid', 'runUuid'] : [name, camelCase(name)]

const camelCase = (name: string): string =>
  name.includes('_') ? name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()) : name

function withZeros(message: Record<string, unknown>, { zeros }: Plan): Record<string, unknown> {
  for (const [name, zero] of zeros) if (message[name] === undefined) message[name] = zero
  return message
}

const passes = (reader: Reader<unknown>, value: unknown): boolean => {
  if (reader.passes) return reader.passes(value)
  const read = value === null ? undefined : reader.read(value)
  return read !== undefined && !(read instanceof Partly)
}

const isMissing = (value: unknown): boolean => value === undefined || value === null || value === ''

const missing = (path: string): Error => invalid(`Missing value for required parameter '${path}'.${seeDocs}`)

function misfitting(name: string, value: unknown, request: FastifyRequest): Error {
  const written = typeof value === 'number' ? (numberText(request, name) ?? String(value)) : pythonJson(value)
  return invalid(
    `Invalid value ${written} for parameter '${name}' supplied:  Hint: Value was of type '${pythonType(value, written)}'.${seeDocs}`,
  )
}

const bodyTexts = new WeakMap<object, string>()

/** Keeps a body's text beside what was parsed from it: a message quotes `9.0`, of which parsing leaves 9. */
export function rememberText(body: unknown, text: string): void {
  if (typeof body === 'object' && body !== null) bodyTexts.set(body, text)
}

function numberText(request: FastifyRequest, name: string): string | undefined {
  const body = request.body
  const text = typeof body === 'object' && body !== null ? bodyTexts.get(body) : undefined
  if (text === undefined) return undefined
  let found: string | undefined
  JSON.parse(text, (key, _value, context?: { source?: string }) => {
    if (key === name) found = context?.source
  })
  return found
}

export const text: Reader<string | undefined> = {
  required: false,
  read: (value) => (typeof value === 'string' ? value : undefined),
  passes: (value) => typeof value === 'string',
  zero: '',
}

export const integer: Reader<number | undefined> = {
  required: false,
  read: (value) => {
    const number = typeof value === 'string' && /^[+-]?\d+(\.0*)?$/.test(value) ? Number(value) : value
    return typeof number === 'number' && Number.isSafeInteger(number) ? number : undefined
  },
  passes: (value) =>
    typeof value === 'string'
      ? /^\s*[+-]?\d+\s*$/.test(value)
      : typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value)),
  zero: 0,
}

/** JSON has no NaN and no infinities: protobuf writes them as texts. */
export const double: Reader<number | undefined> = {
  required: false,
  read: (value) => {
    if (typeof value === 'number') return value
    if (typeof value === 'boolean') return Number(value)
    return typeof value === 'string' && value !== 'nan' ? pythonNumber(value) : undefined
  },
  passes: (value) =>
    typeof value === 'number' ||
    typeof value === 'boolean' ||
    (typeof value === 'string' && pythonNumber(value) !== undefined),
  zero: 0,
}

/** What Python's `float(text)` takes. */
function pythonNumber(text: string): number | undefined {
  const [, sign, name] = /^\s*([+-]?)(nan|inf|infinity)\s*$/i.exec(text) ?? []
  if (name) return (sign === '-' ? -1 : 1) * (name.toLowerCase() === 'nan' ? Number.NaN : Number.POSITIVE_INFINITY)
  return /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(text) ? Number(text) : undefined
}

export const flag: Reader<boolean | undefined> = {
  required: false,
  read: (value) => (typeof value === 'boolean' ? value : undefined),
  zero: false,
}

export const texts: Reader<string[] | undefined> = {
  required: false,
  read: (value) => {
    if (!Array.isArray(value)) return undefined
    const list: string[] = []
    for (const item of value as unknown[]) {
      if (typeof item !== 'string') return new Partly(list)
      if (item.includes('\0')) throw withNul('a list')
      list.push(item)
    }
    return list
  },
  passes: (value) => Array.isArray(value),
  zero: [],
}

/** As `texts`, where the schema also asks that each item is one: what is no text is refused. */
export const onlyTexts: Reader<string[] | undefined> = {
  ...texts,
  passes: (value) => Array.isArray(value) && value.every((item) => typeof item === 'string'),
}

/** A list of messages; the path of a missing field tells which one, as in `metrics[3].value`. */
export const listOf = <S extends Shape>(name: string, shape: S): Reader<Message<S>[] | undefined> => ({
  required: false,
  read: (value) => {
    if (!Array.isArray(value)) return undefined
    const list: Message<S>[] = []
    const items = value as unknown[]
    const plan = planOf(shape)
    if (plan.required.length > 0) nestedChecks.set(list, () => requireIn(items, plan, name))
    for (const item of items) {
      const { message, broken } = isRecord(item) ? parsed(item, plan) : { message: {}, broken: true }
      list.push(withZeros(message, plan) as Message<S>)
      if (broken) return new Partly(list)
    }
    return list
  },
  passes: (value) => Array.isArray(value),
  zero: [],
})

export const nested = <S extends Shape>(name: string, shape: S): Reader<Message<S> | undefined> => ({
  required: false,
  read: (value) => {
    if (!isRecord(value)) return undefined
    const plan = planOf(shape)
    const { message, broken } = parsed(value, plan)
    nestedChecks.set(message, () => requireFields(value, plan, name))
    const read = withZeros(message, plan) as Message<S>
    return broken ? new Partly(read) : read
  },
  passes: isRecord,
})

function checkNested(message: Record<string, unknown>): void {
  for (const name in message) {
    const value = message[name]
    if (typeof value === 'object' && value !== null) nestedChecks.get(value)?.()
  }
}

function requireIn(items: readonly unknown[], plan: Plan, path: string): void {
  for (let index = 0; index < items.length; index++) {
    const item = items[index]
    if (!isRecord(item) || !hasAll(item, plan)) requireFields(isRecord(item) ? item : {}, plan, `${path}[${index}]`)
  }
}

const hasAll = (source: Record<string, unknown>, { required }: Plan): boolean =>
  required.every((name) => !isMissing(source[name]))

function requireFields(source: Record<string, unknown>, { required }: Plan, path: string): void {
  for (const name of required) if (isMissing(source[name] ?? source[camelCase(name)])) throw missing(`${path}.${name}`)
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** An enum by its name or by its number in the proto. A name that is not known counts as absent, as protobuf reads it. */
export const oneOf = <T extends string>(byNumber: Record<number, T>): Reader<T | undefined> => {
  const names = new Map<string, T>(Object.values(byNumber).map((name) => [name, name]))
  return {
    required: false,
    read: (value) => {
      const number = typeof value === 'number' ? value : /^\s*\d+\s*$/.test(String(value)) ? Number(value) : undefined
      if (number !== undefined) return byNumber[Math.trunc(number)]
      return typeof value === 'string' ? (names.get(value) ?? ignored) : undefined
    },
  }
}

export const required = <T>(reader: Reader<T | undefined>): Reader<T> => ({
  ...(reader as Reader<T>),
  required: true,
})

/** A field that the schema says nothing of: what protobuf does not take is dropped. */
export const unchecked = <T>(reader: Reader<T>): Reader<T> => ({ ...reader, passes: () => true })

/** Absent is the type's zero, as protobuf has it. */
export const orZero = <T>(reader: Reader<T | undefined>): Reader<T> => ({
  ...(reader as Reader<T>),
  absentIsZero: true,
})

const pair = { key: orZero(text), value: orZero(text) }
const keyedPair = { key: required(text), value: orZero(text) }

/** `{key, value}` of params and tags; what is left out is the empty text, as in protobuf. */
export const pairs = (name: string): Reader<{ key: string; value: string }[] | undefined> => listOf(name, pair)

/** As `pairs`, of a batch: there each key must be named. */
export const keyedPairs = (name: string): Reader<{ key: string; value: string }[] | undefined> =>
  listOf(name, keyedPair)

/** Params of the path, as Fastify decoded them. */
export function pathParam(request: FastifyRequest, name: string): string {
  const value = (request.params as Record<string, string>)[name] ?? ''
  if (value.includes('\0')) throw withNul(name === '*' ? 'path' : name)
  return value
}

export const queryOf = (request: FastifyRequest): Record<string, unknown> => request.query as Record<string, unknown>

function sourceOf(request: FastifyRequest, shape: Shape): Record<string, unknown> {
  const query = queryOf(request)
  if (request.method === 'GET' && Object.keys(query).length > 0) return fromQuery(query, shape)
  refuseOtherContent(request)
  const body: unknown = request.body ?? {}
  if (!isRecord(body)) throw invalid('The body must be a JSON object.')
  return body
}

/** A query has no types: a list of one looks like the one, a flag is a word. */
function fromQuery(query: Record<string, unknown>, shape: Shape): Record<string, unknown> {
  const source: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(query)) {
    const reader = shape[name]
    const isList = reader !== undefined && Array.isArray(reader.zero)
    const first: unknown = Array.isArray(value) ? value[0] : value
    if (isList) source[name] = Array.isArray(value) ? value : [value]
    else source[name] = reader?.zero === false ? wordAsFlag(String(first)) : first
  }
  return source
}

function wordAsFlag(word: string): boolean {
  const lower = word.toLowerCase()
  if (lower === 'true' || lower === 'false') return lower === 'true'
  throw invalid(`Invalid boolean value: ${word}, must be 'true' or 'false'.`)
}

/** A foreign page can make a browser send a form or plain text, but not JSON. */
function refuseOtherContent(request: FastifyRequest): void {
  if (request.method !== 'POST' && request.method !== 'PUT') return
  const type = request.headers['content-type']
  if (type === undefined) throw invalid('Bad Request. Content-Type header is missing.')
  if (type.split(';')[0] !== 'application/json')
    throw invalid("Bad Request. Content-Type must be one of ['application/json'].")
}

/** Two spellings of one field could mean one thing to whoever looks at the body and another to who reads the message. */
function refuseTwoSpellings(source: Record<string, unknown>, shape: Shape): void {
  for (const name in shape) {
    const other = camelCase(name)
    if (other !== name && Object.hasOwn(source, name) && Object.hasOwn(source, other))
      throw invalid(`Request specifies both '${name}' and '${other}'; provide only one of them.`)
  }
}

/** PostgreSQL's texts cannot hold it, so none here does. */
const withNul = (name: string): Error =>
  invalid(/(^|_)path$/.test(name) ? 'Invalid path' : `The text of '${name}' cannot hold the character U+0000.`)

function pythonType(value: unknown, written: string): string {
  if (value === null) return 'NoneType'
  if (typeof value === 'string') return 'str'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'number') return /^-?\d+$/.test(written) ? 'int' : 'float'
  return Array.isArray(value) ? 'list' : 'dict'
}
