import { type GraphQLOutputType, getNullableType, isListType, isScalarType } from 'graphql'

const names = new Map<string, string>()

/** `runId` → `run_id`. */
export function wireName(field: string): string {
  let name = names.get(field)
  if (name === undefined) {
    name = field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    names.set(field, name)
  }
  return name
}

const zeros: Record<string, unknown> = { String: '', LongString: '0', Int: 0, Float: 0, Boolean: false }

/** A field of a REST answer. What such an answer leaves out is the type's zero, as protobuf has it; objects and words are absent. */
export function fieldOf(source: unknown, field: string, type: GraphQLOutputType): unknown {
  const value = (source as Record<string, unknown>)[wireName(field)]
  const nullable = getNullableType(type)
  if (value === undefined) return isListType(nullable) ? [] : isScalarType(nullable) ? zeros[nullable.name] : null
  // REST writes NaN as a text; GraphQL has no form for it at all.
  return value === 'NaN' && isScalarType(nullable) && nullable.name === 'Float' ? null : value
}
