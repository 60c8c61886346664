import { z } from 'zod'
import { nearestWord } from '../../kernel/nearest-word.ts'
import type { Problem } from '../project-file.ts'
import { notYetKeysOf, notYetMark } from './grammar.ts'

/** What zod found, without its place in the text yet. `key`: the trouble is the key itself, not its value. */
export type PathProblem = {
  kind: Problem['kind']
  path: PropertyKey[]
  at: 'key' | 'value'
  text: string
  /** The allowed key that a wrong one was probably meant to be. */
  meant?: string
}

type Issue = z.core.$ZodIssue
type AnySchema = z.core.$ZodType

/** zod's issues in the words of the file: what was found, what is allowed there, and the nearest allowed word. */
export function shapeProblems(schema: AnySchema, value: unknown, issues: readonly Issue[]): PathProblem[] {
  const all = issues.flatMap((issue) => fromIssue(schema, value, issue, []))
  const meant = new Set(all.flatMap((one) => (one.meant ? [pathText([...one.path.slice(0, -1), one.meant])] : [])))
  // A misspelt key is one problem, not also a missing one.
  return all.filter((one) => one.meant !== undefined || !meant.has(pathText(one.path)))
}

const pathText = (path: readonly PropertyKey[]): string => JSON.stringify(path.map(String))

function fromIssue(schema: AnySchema, value: unknown, issue: Issue, prefix: PropertyKey[]): PathProblem[] {
  const path = [...prefix, ...issue.path]
  const found = valueAt(value, issue.path)
  const target = schemaAt(schema, value, issue.path)
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(target, found, path, key))
  if (issue.code === 'invalid_union') return fromUnion(target, found, issue, path)
  if (issue.code === 'invalid_key')
    return [{ kind: 'invalid', path, at: 'key', text: `found ${quoted(path.at(-1))}; ${issue.issues[0]?.message}` }]
  if (issue.code === 'custom' && issue.message.startsWith(notYetMark))
    return [{ kind: 'not-yet', path, at: 'value', text: issue.message.slice(notYetMark.length) }]
  if (issue.code === 'custom' || (found !== undefined && !/^(Invalid|Too) /.test(issue.message)))
    return [{ kind: 'invalid', path, at: 'value', text: withFound(found, issue.message) }]
  return [{ kind: 'invalid', path, at: 'value', text: unexpected(target, found, issue) }]
}

/** Messages that name what they found themselves are left as they are. */
const withFound = (found: unknown, message: string): string =>
  message.startsWith('found ') ? message : `found ${describe(found)}; ${message}`

function unexpected(target: AnySchema | undefined, found: unknown, issue: Issue): string {
  const words = issue.code === 'invalid_value' ? issue.values.map(String) : []
  const expected = words.length > 0 ? `allowed here: ${words.join(', ')}` : `expected ${expectation(target)}`
  if (found === undefined) return `${quoted(issue.path.at(-1))} is missing; ${expected}`
  const nearest = typeof found === 'string' ? nearestWord(found, words) : undefined
  return `found ${describe(found)}; ${expected}${nearest ? `; did you mean "${nearest}"?` : ''}${quotesHint(target, found)}`
}

/** YAML reads 3.10 as 3.1 and true as a truth value: say how to keep the text. */
const quotesHint = (target: AnySchema | undefined, found: unknown): string =>
  target && acceptsText(target) && (typeof found === 'number' || typeof found === 'boolean')
    ? '; write it in quotes'
    : ''

function unknownKey(target: AnySchema | undefined, map: unknown, path: PropertyKey[], key: string): PathProblem {
  const object = objectAt(target, map)
  const at = { path: [...path, key], at: 'key' as const }
  if (object && notYetKeysOf(object).includes(key)) return { kind: 'not-yet', ...at, text: `"${key}:"` }
  const allowed = object ? Object.keys(object._zod.def.shape) : []
  const nearest = nearestWord(key, allowed)
  const hint = nearest ? `; did you mean "${nearest}"?` : ''
  const text = `found ${quoted(key)}; allowed here: ${allowed.join(', ')}${hint}`
  return { kind: 'invalid', ...at, text, ...(nearest ? { meant: nearest } : {}) }
}

/** Of the alternatives the one that is least wrong is the one that was meant. */
function fromUnion(
  target: AnySchema | undefined,
  found: unknown,
  issue: z.core.$ZodIssueInvalidUnion,
  path: PropertyKey[],
): PathProblem[] {
  const union = unwrap(target)
  const options = union?._zod.def.type === 'union' ? (union as z.core.$ZodUnion)._zod.def.options : []
  const ranked = issue.errors
    .map((issues, index) => ({ issues, option: options[index], weight: weigh(issues) }))
    .sort((a, b) => a.weight - b.weight)
  const best = ranked[0]
  if (!best?.option || best.weight >= wrongKind) {
    const words = ranked.flatMap(({ issues }) =>
      issues.flatMap((one) => (one.code === 'invalid_value' ? one.values : [])),
    )
    const nearest = typeof found === 'string' ? nearestWord(found, words.map(String)) : undefined
    const hint = nearest ? `; did you mean "${nearest}"?` : quotesHint(target, found)
    return [
      { kind: 'invalid', path, at: 'value', text: `found ${describe(found)}; expected ${expectation(target)}${hint}` },
    ]
  }
  return best.issues.flatMap((one) => fromIssue(best.option!, found, one, path))
}

const wrongKind = 1000
const weigh = (issues: readonly Issue[]): number =>
  issues.reduce((sum, issue) => {
    if (issue.code === 'unrecognized_keys') return sum + issue.keys.length
    const wrong = issue.path.length === 0 && (issue.code === 'invalid_type' || issue.code === 'invalid_value')
    return sum + (wrong ? wrongKind : 1)
  }, 0)

/** The schema that a path of the value leads to, through everything that wraps it. */
function schemaAt(schema: AnySchema | undefined, value: unknown, path: readonly PropertyKey[]): AnySchema | undefined {
  const [first, ...rest] = path
  if (first === undefined) return schema
  const inner = unwrap(schema)
  const next = childOf(inner, first, value)
  return next && schemaAt(next, valueAt(value, [first]), rest)
}

function childOf(schema: AnySchema | undefined, key: PropertyKey, value: unknown): AnySchema | undefined {
  const def = schema?._zod.def as z.core.$ZodTypeDef | undefined
  switch (def?.type) {
    case 'object':
      return objectAt(schema, value)?._zod.def.shape[String(key)]
    case 'record':
      return (def as z.core.$ZodRecordDef).valueType
    case 'array':
      return (def as z.core.$ZodArrayDef).element
    case 'tuple':
      return (def as z.core.$ZodTupleDef).items[Number(key)]
    case 'union':
      return objectAt(schema, value)?._zod.def.shape[String(key)] ?? arrayOption(def as z.core.$ZodUnionDef, key, value)
    default:
      return undefined
  }
}

const arrayOption = (def: z.core.$ZodUnionDef, key: PropertyKey, value: unknown): AnySchema | undefined =>
  def.options
    .map(unwrap)
    .filter((option) => option?._zod.def.type === 'array')
    .map((option) => childOf(option, key, value))[0]

/** The map that a schema asks for; of several in a union the one that shares most keys with the value. */
function objectAt(schema: AnySchema | undefined, value: unknown): z.core.$ZodObject | undefined {
  const inner = unwrap(schema)
  if (inner?._zod.def.type === 'object') return inner as z.core.$ZodObject
  if (inner?._zod.def.type !== 'union') return undefined
  const keys = typeof value === 'object' && value !== null ? Object.keys(value) : []
  const shared = (object: z.core.$ZodObject) => keys.filter((key) => key in object._zod.def.shape).length
  return (inner as z.core.$ZodUnion)._zod.def.options
    .map((option) => objectAt(option, value))
    .filter((option) => option !== undefined)
    .sort((a, b) => shared(b) - shared(a))[0]
}

function unwrap(schema: AnySchema | undefined): AnySchema | undefined {
  const def = schema?._zod.def as (z.core.$ZodTypeDef & Record<string, unknown>) | undefined
  if (def?.type === 'pipe') return unwrap(def.in as AnySchema)
  if (def?.type === 'lazy') return unwrap((def.getter as () => AnySchema)())
  return def && 'innerType' in def ? unwrap(def.innerType as AnySchema) : schema
}

const wordsOfTypes: Record<string, string> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
}

function expectation(schema: AnySchema | undefined): string {
  for (let one = schema; one; one = stepInside(one)) {
    const description = z.globalRegistry.get(one)?.description
    if (description) return description
  }
  const inner = unwrap(schema)
  return wordsOfTypes[inner?._zod.def.type ?? ''] ?? 'something else'
}

function stepInside(schema: AnySchema): AnySchema | undefined {
  const def = schema._zod.def as z.core.$ZodTypeDef & Record<string, unknown>
  if (def.type === 'pipe') return def.in as AnySchema
  if (def.type === 'lazy') return (def.getter as () => AnySchema)()
  return def.innerType as AnySchema | undefined
}

const acceptsText = (schema: AnySchema): boolean => {
  const inner = unwrap(schema)
  if (inner?._zod.def.type === 'union') return (inner as z.core.$ZodUnion)._zod.def.options.some(acceptsText)
  return inner?._zod.def.type === 'string'
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let one = value
  for (const part of path) {
    if (typeof one !== 'object' || one === null || !Object.hasOwn(one, part)) return undefined
    one = (one as Record<PropertyKey, unknown>)[part]
  }
  return one
}

/** A found value as a person reads it, shortened. */
function describe(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  if (typeof value === 'object') return 'a map'
  return typeof value === 'string' ? quoted(value) : String(value)
}

const quoted = (value: unknown): string => {
  const text = String(value)
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
}
