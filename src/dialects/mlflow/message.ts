import type { FastifyRequest } from 'fastify'
import { invalid } from '../../tracking/index.ts'

/**
 * Reads a request as MLflow's server reads its protobuf messages: from the query of a GET, else from the JSON body; names in
 * snake_case or camelCase; integers also as strings; an empty text counts as absent where the field is required.
 * What does not fit is refused in MLflow's words (server/handlers.py, _validate_param_against_schema).
 */
export type Reader<T> = { required: boolean; read: (value: unknown) => T | undefined }
type Shape = Record<string, Reader<unknown>>
type Message<S extends Shape> = { [K in keyof S]: S[K] extends Reader<infer T> ? T : never }

const seeDocs = ' See the API docs for more information about request parameters.'

export function readMessage<S extends Shape>(request: FastifyRequest, shape: S): Message<S> {
  return readFields(sourceOf(request), shape)
}

function readFields<S extends Shape>(source: Record<string, unknown>, shape: S, path = ''): Message<S> {
  const message: Record<string, unknown> = {}
  for (const [name, reader] of Object.entries(shape)) {
    const value = fieldOf(source, name)
    const missing = value === undefined || value === null || value === ''
    if (missing && reader.required) throw invalid(`Missing value for required parameter '${path}${name}'.${seeDocs}`)
    if (value === undefined || value === null) continue
    const read = reader.read(value)
    if (read === undefined)
      throw invalid(
        `Invalid value ${JSON.stringify(value)} for parameter '${path}${name}' supplied:  Hint: Value was of type '${pythonType(value)}'.${seeDocs}`,
      )
    message[name] = read
  }
  return message as Message<S>
}

export const text: Reader<string | undefined> = {
  required: false,
  read: (value) => (typeof value === 'string' ? value : undefined),
}

export const integer: Reader<number | undefined> = {
  required: false,
  read: (value) => {
    const number = typeof value === 'string' && /^\s*-?\d+\s*$/.test(value) ? Number(value) : value
    return typeof number === 'number' && Number.isSafeInteger(number) ? number : undefined
  },
}

/** JSON has no NaN and no infinities: protobuf writes them as texts. */
export const double: Reader<number | undefined> = {
  required: false,
  read: (value) => {
    if (typeof value === 'number') return value
    if (typeof value !== 'string') return undefined
    const named = { nan: Number.NaN, infinity: Number.POSITIVE_INFINITY, inf: Number.POSITIVE_INFINITY }
    const [, sign, name] = /^([+-]?)([a-z]+)$/i.exec(value.trim()) ?? []
    const special = name === undefined ? undefined : named[name.toLowerCase() as keyof typeof named]
    if (special !== undefined) return sign === '-' ? -special : special
    return value.trim() !== '' && Number.isFinite(Number(value)) ? Number(value) : undefined
  },
}

export const flag: Reader<boolean | undefined> = {
  required: false,
  read: (value) => {
    const word = String(value).toLowerCase()
    return word === 'true' ? true : word === 'false' ? false : undefined
  },
}

export const texts: Reader<string[] | undefined> = {
  required: false,
  read: (value) => {
    // A GET gives a list of one as the one.
    const list = Array.isArray(value) ? (value as unknown[]) : typeof value === 'string' ? [value] : undefined
    return list?.every((item) => typeof item === 'string') ? (list as string[]) : undefined
  },
}

/** A list of messages; the path of a missing field tells which one, as in `metrics[3].value`. */
export const listOf = <S extends Shape>(name: string, shape: S): Reader<Message<S>[] | undefined> => ({
  required: false,
  read: (value) =>
    Array.isArray(value)
      ? value.map((item: unknown, index) => {
          if (typeof item !== 'object' || item === null)
            throw invalid(`Invalid value for parameter '${name}[${index}]'`)
          return readFields(item as Record<string, unknown>, shape, `${name}[${index}].`)
        })
      : undefined,
})

export const nested = <S extends Shape>(name: string, shape: S): Reader<Message<S> | undefined> => ({
  required: false,
  read: (value) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? readFields(value as Record<string, unknown>, shape, `${name}.`)
      : undefined,
})

/** An enum by its name or by its number in the proto. */
export const oneOf = <T extends string>(byNumber: Record<number, T>): Reader<T | undefined> => ({
  required: false,
  read: (value) => {
    const number = typeof value === 'number' ? value : /^\d+$/.test(String(value)) ? Number(value) : undefined
    if (number !== undefined) return byNumber[number]
    return Object.values(byNumber).find((name) => name === value)
  },
})

export const required = <T>(reader: Reader<T | undefined>): Reader<T> => ({
  required: true,
  read: reader.read,
})

/** `{key, value}` of params and tags; a value left out is the empty text, as in protobuf. */
export const pairs = (name: string): Reader<{ key: string; value: string }[] | undefined> => {
  const list = listOf(name, { key: required(text), value: text })
  return {
    required: false,
    read: (value) => list.read(value)?.map((pair) => ({ key: pair.key, value: pair.value ?? '' })),
  }
}

/** Params of the path, as Fastify decoded them. */
export const pathParam = (request: FastifyRequest, name: string): string =>
  (request.params as Record<string, string>)[name] ?? ''

export const queryOf = (request: FastifyRequest): Record<string, unknown> => request.query as Record<string, unknown>

function sourceOf(request: FastifyRequest): Record<string, unknown> {
  const query = queryOf(request)
  if (request.method === 'GET' && Object.keys(query).length > 0) return query
  const body: unknown = request.body ?? {}
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalid('The body must be a JSON object.')
  return body as Record<string, unknown>
}

/** Older clients say run_uuid where newer ones say run_id. */
function fieldOf(source: Record<string, unknown>, name: string): unknown {
  if (Object.hasOwn(source, name)) return source[name]
  const camelCase = name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
  if (Object.hasOwn(source, camelCase)) return source[camelCase]
  return name === 'run_id' && Object.hasOwn(source, 'run_uuid') ? source.run_uuid : undefined
}

function pythonType(value: unknown): string {
  if (typeof value === 'string') return 'str'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float'
  if (Array.isArray(value)) return 'list'
  return 'dict'
}
