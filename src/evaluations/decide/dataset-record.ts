import { createHash } from 'node:crypto'
import { invalid } from '../../tracking/decide/limits.ts'
import { type SourceType, sourceTypes } from '../evaluations.ts'
import { type Json, type JsonObject, parseJson, writeJson } from './exact-json.ts'

/** The tag by which a client says who logged it. */
export const userTag = 'mlflow.user'

/** A record as a client sends it: `undefined` is what it did not tell. */
export type RecordDraft = {
  inputHash: string
  inputs: JsonObject
  outputs: Json | undefined
  expectations: JsonObject | undefined
  tags: JsonObject | undefined
  source: { text: string; id: string | undefined; type: SourceType } | undefined
  user: string | undefined
}

/** What a record is made of, as it is stored; each JSON text as it was sent. */
export type RecordContent = {
  inputs: string
  outputs: string | null
  expectations: string | null
  tags: string
  source: string | null
  source_id: string | null
  source_type: string | null
  created_by: string | null
  updated_by: string | null
}

/** Throws BadRequest for what is no record: no object, inputs or tags that are none, an unknown source. */
export function draftOf(record: Json): RecordDraft {
  if (!(record instanceof Map)) throw invalid('Each record must be a dictionary')
  const inputs = record.has('inputs') ? objectIn(record, 'inputs') : (new Map() as JsonObject)
  if (inputs === undefined) throw invalid('inputs must be provided')
  const tags = objectIn(record, 'tags')
  const user = tags?.get(userTag)
  return {
    inputHash: inputHashOf(inputs),
    inputs,
    outputs: record.get('outputs'),
    expectations: objectIn(record, 'expectations'),
    tags,
    source: sourceIn(record.get('source')),
    user: typeof user === 'string' ? user : undefined,
  }
}

/** Equal inputs are the same record, whatever the order of their keys: the digest that MLflow's own store keeps. */
export const inputHashOf = (inputs: JsonObject): string =>
  createHash('sha256')
    .update(writeJson(inputs, { sorted: true, ascii: true }))
    .digest('hex')

/** A record that was not there. Outputs that nobody told are an empty object, as MLflow has it. */
export function newContent(draft: RecordDraft): RecordContent {
  return {
    inputs: writeJson(draft.inputs),
    outputs: draft.outputs === undefined ? '{}' : textOrNull(draft.outputs),
    expectations: draft.expectations === undefined ? null : writeJson(draft.expectations),
    tags: writeJson(draft.tags ?? new Map()),
    source: draft.source?.text ?? null,
    source_id: draft.source?.id ?? null,
    source_type: draft.source?.type ?? null,
    created_by: draft.user ?? null,
    updated_by: draft.user ?? null,
  }
}

/** The same inputs again: told outputs replace, expectations and tags join what is there; where it first came from stays. */
export function mergedContent(known: RecordContent, draft: RecordDraft): RecordContent {
  return {
    ...known,
    outputs: draft.outputs === undefined ? known.outputs : textOrNull(draft.outputs),
    expectations: joined(known.expectations, draft.expectations),
    tags: joined(known.tags, draft.tags) ?? '{}',
    updated_by: draft.user ?? known.updated_by,
  }
}

const textOrNull = (value: Json): string | null => (value === null ? null : writeJson(value))

function joined(known: string | null, added: JsonObject | undefined): string | null {
  if (added === undefined || added.size === 0) return known
  const before = known === null ? [] : [...(parseJson(known, 'a record') as JsonObject)]
  return writeJson(new Map([...before, ...added]))
}

function objectIn(record: JsonObject, field: string): JsonObject | undefined {
  const value = record.get(field) ?? undefined
  if (value === undefined || value instanceof Map) return value
  throw invalid(`Field '${field}' of a record must be a dictionary`)
}

function sourceIn(source: Json | undefined): RecordDraft['source'] {
  if (source === undefined || source === null || (source instanceof Map && source.size === 0)) return undefined
  if (!(source instanceof Map)) throw invalid("Field 'source' of a record must be a dictionary")
  const type = sourceTypeFrom(source.get('source_type'))
  const data = source.get('source_data') ?? new Map()
  if (!(data instanceof Map)) throw invalid("Field 'source_data' of a record's source must be a dictionary")
  const id = data.get(type === 'TRACE' ? 'trace_id' : 'source_id')
  return {
    text: writeJson(
      new Map<string, Json>([
        ['source_type', type],
        ['source_data', data],
      ]),
    ),
    id: typeof id === 'string' ? id : undefined,
    type,
  }
}

function sourceTypeFrom(told: Json | undefined): SourceType {
  const name = typeof told === 'string' ? told.toUpperCase() : ''
  const type = sourceTypes.find((known) => known === name)
  if (type) return type
  const valid = sourceTypes.map((known) => `'${known}'`).join(', ')
  throw invalid(`Invalid dataset record source type: ${name}. Valid source types: [${valid}]`)
}
