import { gunzipSync, inflateRawSync, inflateSync } from 'node:zlib'
import { pythonJsonFloat } from '../../kernel/python-text.ts'
import { dumps, NumberText, type OtelSpan, type PythonValue, type Span, spanFromOtel } from '../../traces/index.ts'
import {
  type AnyValue,
  decodeRequest,
  type KeyValue,
  type OtlpRequest,
  type OtlpSpan,
  type Whole,
} from './otlp-schema.ts'

export type OtlpBody = {
  bytes: Uint8Array
  mediaType: 'application/x-protobuf' | 'application/json'
  encoding?: string
}

/** What a body is refused for; told as MLflow's OTLP endpoint does: `{detail}`. */
export class OtlpRefusal extends Error {
  readonly status: number

  constructor(status: number, detail: string) {
    super(detail)
    this.name = 'OtlpRefusal'
    this.status = status
  }
}

/** Thrown where a body unpacks to more than the caller will take. */
export class TooLarge extends Error {}

/**
 * A body of OTLP → spans as they are kept. Takes time in proportion to the body: large ones belong on another thread.
 * @throws OtlpRefusal, TooLarge
 */
export function spansOf(body: OtlpBody, maxBytes: number): Span[] {
  const bytes = unpacked(body, maxBytes)
  const request = read(bytes, body.mediaType)
  if (!request.resourceSpans?.length) throw new OtlpRefusal(400, 'Invalid OpenTelemetry format - no spans found')
  try {
    return [...allSpans(request)]
  } catch {
    throw new OtlpRefusal(422, 'Cannot convert OpenTelemetry span to MLflow span')
  }
}

function unpacked({ bytes, encoding }: OtlpBody, maxBytes: number): Uint8Array {
  const options = { maxOutputLength: maxBytes }
  switch (encoding) {
    case undefined:
    case '':
    case 'identity':
      return bytes
    case 'gzip':
      return attempt('gzip', () => gunzipSync(bytes, options))
    case 'deflate':
      return attempt('deflate', () => {
        try {
          return inflateSync(bytes, options)
        } catch (error) {
          if (isTooLarge(error)) throw error
          // Some clients leave the header of the format away.
          return inflateRawSync(bytes, options)
        }
      })
    default:
      throw new OtlpRefusal(400, `Unsupported Content-Encoding: ${encoding}`)
  }
}

function attempt(encoding: string, unpack: () => Uint8Array): Uint8Array {
  try {
    return unpack()
  } catch (error) {
    if (isTooLarge(error)) throw new TooLarge()
    throw new OtlpRefusal(400, `Failed to decompress ${encoding} payload`)
  }
}

const isTooLarge = (error: unknown): boolean => (error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE'

function read(bytes: Uint8Array, mediaType: OtlpBody['mediaType']): OtlpRequest {
  try {
    if (mediaType === 'application/x-protobuf') return decodeRequest(bytes)
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return inCamelCase(value) as OtlpRequest
  } catch {
    // Told below, as for anything else that is no such message.
  }
  throw new OtlpRefusal(400, 'Invalid OpenTelemetry format')
}

/** Protobuf's JSON may be written in snake_case too. */
function inCamelCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inCamelCase)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      inCamelCase(item),
    ]),
  )
}

/** Names of programs that MLflow shows on their root spans; anybody can send any name. */
const knownServices = new Set(['claude-code', 'codex_cli_rs', 'codex_vscode', 'gemini-cli', 'qwen-code'])

function* allSpans(request: OtlpRequest): Iterable<Span> {
  for (const { resource, scopeSpans } of request.resourceSpans ?? []) {
    const facts = attributesOf(resource?.attributes)
    const service = facts['service.name']
    const known = service !== undefined && knownServices.has(service.slice(1, -1)) ? service : undefined
    for (const { spans } of scopeSpans ?? [])
      for (const span of spans ?? []) {
        const otel = otelSpan(span, facts)
        if (known !== undefined && otel.parentId === undefined) otel.attributes['service.name'] = known
        yield spanFromOtel(otel)
      }
  }
}

const codes: Record<string, OtelSpan['status']['code']> = {
  1: 'OK',
  2: 'ERROR',
  STATUS_CODE_OK: 'OK',
  STATUS_CODE_ERROR: 'ERROR',
}

function otelSpan(span: OtlpSpan, resource: Record<string, string>): OtelSpan {
  const parentId = idOf(span.parentSpanId, 16)
  const end = wholeText(span.endTimeUnixNano)
  return {
    traceId: required(idOf(span.traceId, 32)),
    spanId: required(idOf(span.spanId, 16)),
    parentId,
    name: span.name ?? '',
    startNs: wholeText(span.startTimeUnixNano),
    endNs: end === '0' ? undefined : end,
    status: { code: codes[String(span.status?.code)] ?? 'UNSET', message: span.status?.message || undefined },
    attributes: attributesOf(span.attributes),
    events: (span.events ?? []).map((event) => ({
      name: event.name ?? '',
      timeNs: wholeText(event.timeUnixNano),
      attributes: attributesOf(event.attributes),
    })),
    links: (span.links ?? []).map((link) => ({
      traceId: required(idOf(link.traceId, 32)),
      spanId: required(idOf(link.spanId, 16)),
      attributes: attributesOf(link.attributes),
    })),
    resource,
  }
}

/** Bytes of protobuf, hex of OTLP's JSON; shorter ids stand at the end of zeros. Undefined where there is none. */
function idOf(id: Uint8Array | string | null | undefined, digits: number): string | undefined {
  if (id === undefined || id === null || id.length === 0) return undefined
  const hex = typeof id === 'string' ? id.toLowerCase() : Buffer.from(id).toString('hex')
  const short = hex.length > digits ? hex.replace(/^0+/, '') : hex
  if (!/^[0-9a-f]+$/.test(hex) || short.length > digits) throw new Error(`${hex} is no id`)
  return short.padStart(digits, '0')
}

function required(id: string | undefined): string {
  if (id === undefined) throw new Error('An id is missing')
  return id
}

/** Nanoseconds since 1970, as a decimal text. */
function wholeText(whole: Whole | null | undefined): string {
  if (whole === undefined || whole === null) return '0'
  const text = typeof whole === 'number' ? BigInt(Math.round(whole)).toString() : whole.toString()
  if (!/^\d{1,20}$/.test(text)) throw new Error(`${text} is no time`)
  return text
}

const attributesOf = (list: readonly KeyValue[] | null | undefined): Record<string, string> =>
  Object.fromEntries((list ?? []).map(({ key, value }) => [key ?? '', dumps(pythonValue(value))]))

function pythonValue(value: AnyValue | null | undefined): PythonValue {
  if (!value) return null
  switch (value.value ?? Object.keys(value)[0]) {
    case 'stringValue':
      return value.stringValue ?? ''
    case 'boolValue':
      return value.boolValue ?? false
    case 'intValue':
      return new NumberText(intText(value.intValue))
    case 'doubleValue':
      return new NumberText(pythonJsonFloat(Number(value.doubleValue ?? 0)))
    case 'arrayValue':
      return (value.arrayValue?.values ?? []).map(pythonValue)
    case 'kvlistValue':
      return Object.fromEntries(
        (value.kvlistValue?.values ?? []).map((entry) => [entry.key ?? '', pythonValue(entry.value)]),
      )
    case 'bytesValue':
      return typeof value.bytesValue === 'string'
        ? value.bytesValue
        : Buffer.from(value.bytesValue ?? []).toString('base64')
    default:
      return null
  }
}

function intText(whole: Whole | null | undefined): string {
  const text = String(whole ?? 0)
  if (!/^-?\d{1,20}$/.test(text)) throw new Error(`${text} is no integer`)
  return text
}
