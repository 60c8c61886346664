import { type OtelSpan, type Span, spanAttributes, traceTags } from '../traces.ts'
import { type Attributes, type Convention, conventions, firstOf, textAt } from './conventions.ts'
import { cutTraceTag } from './limits.ts'
import { previewOf } from './preview.ts'
import { dumps, plain, unwrapped } from './python-json.ts'
import { numbersOf } from './usage.ts'

const maxModelName = 500
const maxSessionId = 250

/** OpenTelemetry's span → the span that is kept: MLflow's attributes filled in from those of other libraries. */
export function spanFromOtel(otel: OtelSpan): Span {
  const traceId = `tr-${otel.traceId}`
  const attributes = translated(
    { ...withoutSecondCoat(otel.attributes), [spanAttributes.requestId]: JSON.stringify(traceId) },
    otel.events,
  )
  const isRoot = otel.parentId === undefined
  const cost = numbersOf(plain(attributes[spanAttributes.cost]))
  return {
    traceId,
    spanId: otel.spanId,
    parentId: otel.parentId,
    name: otel.name,
    type: textAt(attributes, spanAttributes.type),
    status: otel.status.code,
    startNs: otel.startNs,
    startMs: msOf(otel.startNs),
    endMs: otel.endNs === undefined ? undefined : msOf(otel.endNs),
    durationMs: otel.endNs === undefined ? undefined : Number((BigInt(otel.endNs) - BigInt(otel.startNs)) / 1_000_000n),
    content: contentOf(otel, traceId, attributes),
    model: textAt(attributes, spanAttributes.model)?.slice(0, maxModelName),
    provider: textAt(attributes, spanAttributes.provider)?.slice(0, maxModelName),
    usage: numbersOf(plain(attributes[spanAttributes.usage])),
    cost,
    sessionId: sessionOf(attributes),
    userId: attributes[spanAttributes.user] && unwrapped(attributes[spanAttributes.user]!),
    requestPreview: isRoot ? previewAt(attributes, spanAttributes.inputs, 'user') : undefined,
    responsePreview: isRoot ? previewAt(attributes, spanAttributes.outputs, 'assistant') : undefined,
    resourceTags: resourceTagsOf(otel.resource),
    traceTags: isRoot ? traceTagsOf(attributes) : {},
  }
}

/** Attributes that were JSON before they were sent arrive as JSON in JSON: texts, lists and objects lose the outer coat. */
function withoutSecondCoat(attributes: Attributes): Record<string, string> {
  return Object.fromEntries(
    Object.entries(attributes).map(([key, json]) => {
      // Cheap first: most values are no texts.
      const inner = json.startsWith('"') ? plain(json) : undefined
      if (typeof inner !== 'string') return [key, json]
      const value = plain(inner)
      return [key, typeof value === 'string' || (typeof value === 'object' && value !== null) ? inner : json]
    }),
  )
}

/** Source: mlflow 3.17.2, tracing/otel/translation/__init__.py (translate_span_when_storing). */
function translated(given: Record<string, string>, events: OtelSpan['events']): Record<string, string> {
  const asked = conventions.filter(({ applies }) => applies?.(given) ?? true)
  const filled = { ...given }
  const fill = (key: string, find: () => string | undefined): void => {
    if (key in filled) return
    const value = find()
    if (value !== undefined) filled[key] = value
  }
  const first = <T>(answer: (convention: Convention) => T | undefined): T | undefined => {
    for (const convention of asked) {
      const found = answer(convention)
      if (found !== undefined) return found
    }
    return undefined
  }
  const asText = (text: string | undefined): string | undefined =>
    text === undefined ? undefined : JSON.stringify(text)

  const type = textAt(given, spanAttributes.type)
  const told = first((convention) => typeOf(convention, given))
  if (told !== undefined && (type === undefined || type === 'UNKNOWN')) filled[spanAttributes.type] = asText(told)!
  fill(
    spanAttributes.inputs,
    () =>
      first(({ inputsOf, inputs }) => inputsOf?.(given) ?? firstOf(given, inputs)) ??
      first(({ inputsFromEvents }) => inputsFromEvents?.(events)),
  )
  fill(
    spanAttributes.outputs,
    () =>
      first(({ outputsOf, outputs }) => outputsOf?.(given) ?? firstOf(given, outputs)) ??
      first(({ outputsFromEvents }) => outputsFromEvents?.(events)),
  )
  fill(spanAttributes.usage, () => {
    const usage = first((convention) => usageOf(convention, given))
    return usage && dumps(usage)
  })
  fill(spanAttributes.messageFormat, () => asText(first(({ format }) => format?.(given))))
  fill(spanAttributes.chatTools, () => first(({ tools }) => (tools ? firstOf(given, [tools]) : undefined)))
  fill(spanAttributes.model, () => asText(modelOf(filled, first)))
  fill(spanAttributes.provider, () =>
    asText(first(({ provider }) => (provider ? textAt(given, provider) || undefined : undefined))),
  )
  return filled
}

function typeOf({ kindKey, types, typeOf }: Convention, attributes: Attributes): string | undefined {
  const told = typeOf?.(attributes)
  if (told !== undefined || !kindKey || !types) return told
  const kind = textAt(attributes, kindKey)
  return kind !== undefined && Object.hasOwn(types, kind) ? types[kind] : undefined
}

function usageOf(convention: Convention, attributes: Attributes): Record<string, number> | undefined {
  const count = (keys: readonly string[] = []): number | undefined => {
    for (const key of keys) {
      const number = wholeNumber(attributes[key])
      if (number !== undefined) return number
    }
    return undefined
  }
  if (convention.counts && !convention.counts(attributes)) return undefined
  const cacheRead = count(convention.cacheRead)
  const cacheCreation = count(convention.cacheCreation)
  const cached = convention.inputWithoutCache ? (cacheRead ?? 0) + (cacheCreation ?? 0) : 0
  const told = count(convention.inputTokens)
  const input = told === undefined ? undefined : told + cached
  const output = count(convention.outputTokens)
  const total =
    count(convention.totalTokens) ?? (input !== undefined && output !== undefined ? input + output : undefined)
  if (input === undefined && output === undefined && total === undefined) return undefined
  const usage = {
    input_tokens: input,
    output_tokens: output,
    total_tokens: total,
    cache_read_input_tokens: cacheRead,
    cache_creation_input_tokens: cacheCreation,
  }
  return Object.fromEntries(Object.entries(usage).filter((entry): entry is [string, number] => entry[1] !== undefined))
}

/** 26 and "26" alike. */
function wholeNumber(json: string | undefined): number | undefined {
  const value = plain(json)
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  return typeof number === 'number' && Number.isSafeInteger(number) ? number : undefined
}

type First = <T>(answer: (convention: Convention) => T | undefined) => T | undefined

function modelOf(attributes: Attributes, first: First): string | undefined {
  const told = first(({ models }) =>
    models?.map((key) => textAt(attributes, key)).find((model) => model !== undefined && model !== ''),
  )
  if (told !== undefined) return told
  for (const key of [spanAttributes.inputs, spanAttributes.outputs]) {
    const value = plain(attributes[key])
    const model = typeof value === 'object' && value !== null ? (value as { model?: unknown }).model : undefined
    if (typeof model === 'string' && model !== '') return model
  }
  return undefined
}

function sessionOf(attributes: Attributes): string | undefined {
  const told = attributes[spanAttributes.session] ?? attributes['gen_ai.conversation.id']
  const session = told && unwrapped(told)
  return session === undefined || session === '' ? undefined : session.slice(0, maxSessionId)
}

const previewAt = (attributes: Attributes, key: string, role: 'user' | 'assistant'): string | undefined =>
  attributes[key] === undefined || attributes[key] === '' ? undefined : previewOf(attributes[key], role)

/** Facts of the process (`service.name`) become tags; what is ours or the SDK's own does not. */
function resourceTagsOf(resource: Attributes): Record<string, string> {
  const tags: Record<string, string> = {}
  for (const [key, json] of Object.entries(resource)) {
    if (key.startsWith('telemetry.sdk.') || key.startsWith('mlflow.')) continue
    const tag = cutTraceTag(key, unwrapped(json))
    if (tag) tags[tag.key] = tag.value
  }
  return tags
}

/** Tags that `mlflow.update_current_trace(tags=…)` set in a process that exports by OpenTelemetry. */
function traceTagsOf(attributes: Attributes): Record<string, string> {
  const tags: Record<string, string> = {}
  for (const [key, json] of Object.entries(attributes)) {
    if (!key.startsWith(spanAttributes.tagPrefix)) continue
    const tag = cutTraceTag(key.slice(spanAttributes.tagPrefix.length), unwrapped(json))
    if (tag && tag.key !== traceTags.spansLocation) tags[tag.key] = tag.value
  }
  return tags
}

const statusCodes = { OK: 'STATUS_CODE_OK', ERROR: 'STATUS_CODE_ERROR', UNSET: 'STATUS_CODE_UNSET' } as const

/** Ids in base64, times as numbers, attributes as JSON in texts; the values of events and links as they are. */
function contentOf(otel: OtelSpan, traceId: string, attributes: Attributes): string {
  const events = otel.events.map(
    ({ name, timeNs, attributes }) =>
      `{"name":${JSON.stringify(name)},"time_unix_nano":${timeNs},"attributes":${objectOf(attributes)}}`,
  )
  const links = otel.links.map(
    (link) =>
      `{"trace_id":${JSON.stringify(`tr-${link.traceId}`)},"span_id":"${link.spanId}","attributes":${
        Object.keys(link.attributes).length === 0 ? 'null' : objectOf(link.attributes)
      }}`,
  )
  const { code, message } = otel.status
  return `{"trace_id":"${base64(traceId.slice(3))}","span_id":"${base64(otel.spanId)}","parent_span_id":${
    otel.parentId === undefined ? 'null' : `"${base64(otel.parentId)}"`
  },"name":${JSON.stringify(otel.name)},"start_time_unix_nano":${otel.startNs},"end_time_unix_nano":${
    otel.endNs ?? 'null'
  },"events":[${events.join(',')}],"status":{"code":"${statusCodes[code]}","message":${JSON.stringify(
    message ?? '',
  )}},"attributes":${JSON.stringify(attributes)},"links":[${links.join(',')}]}`
}

const objectOf = (values: Attributes): string =>
  `{${Object.entries(values)
    .map(([key, json]) => `${JSON.stringify(key)}:${json}`)
    .join(',')}}`

const base64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64')

const msOf = (ns: string): number => Number(BigInt(ns) / 1_000_000n)
