import type { RecordDraft } from './dataset-record.ts'
import { type Json, JsonNumber, type JsonObject, parseJson, writeJson } from './exact-json.ts'

/**
 * The schema of a dataset, as MLflow keeps it: the type of each field of inputs, outputs and expectations as it was first seen.
 * Outputs that are no object are one type.
 */
export type Fields = { inputs: FieldTypes; outputs: FieldTypes | string; expectations: FieldTypes }
type FieldTypes = Map<string, string>

export const noFields = (): Fields => ({ inputs: new Map(), outputs: new Map(), expectations: new Map() })

/** Adds what one record shows. */
export function seeFields(fields: Fields, record: Pick<RecordDraft, 'inputs' | 'outputs' | 'expectations'>): void {
  seeEach(fields.inputs, record.inputs)
  seeEach(fields.expectations, record.expectations)
  const { outputs } = record
  if (outputs === undefined || outputs === null || typeof fields.outputs === 'string') return
  if (outputs instanceof Map) seeEach(fields.outputs, outputs)
  else if (fields.outputs.size === 0) fields.outputs = typeOf(outputs)
}

/** The schema's JSON text after these fields were seen; what was known first stays. */
export function mergedSchema(known: string | undefined, seen: Fields): string {
  const before = known === undefined ? new Map<string, Json>() : (parseJson(known, 'the schema') as JsonObject)
  const joined = (part: string, types: FieldTypes): JsonObject => {
    const first = before.get(part)
    const all = new Map<string, Json>(first instanceof Map ? first : [])
    for (const [field, type] of types) if (!all.has(field)) all.set(field, type)
    return all
  }
  return writeJson(
    new Map<string, Json>([
      ['inputs', joined('inputs', seen.inputs)],
      ['outputs', outputsAfter(before.get('outputs'), seen.outputs, (types) => joined('outputs', types))],
      ['expectations', joined('expectations', seen.expectations)],
      ['version', '1.0'],
    ]),
  )
}

function outputsAfter(known: Json | undefined, seen: Fields['outputs'], join: (types: FieldTypes) => Json): Json {
  if (typeof known === 'string') return known
  if (typeof seen !== 'string') return join(seen)
  return known instanceof Map && known.size > 0 ? known : seen
}

function seeEach(types: FieldTypes, object: JsonObject | undefined): void {
  for (const [key, value] of object ?? []) if (!types.has(key)) types.set(key, typeOf(value))
}

function typeOf(value: Json): string {
  if (value === null) return 'null'
  if (typeof value === 'boolean') return 'boolean'
  if (typeof value === 'string') return 'string'
  if (value instanceof JsonNumber) return value.isInteger ? 'integer' : 'float'
  return Array.isArray(value) ? 'array' : 'object'
}
