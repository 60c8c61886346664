import protobuf from 'protobufjs/light.js'

/**
 * The messages of OpenTelemetry's protocol that traces come in, with the fields that are kept; what else is sent is skipped.
 * Source: github.com/open-telemetry/opentelemetry-proto 1.x: collector/trace/v1, trace/v1, common/v1, resource/v1.
 */
const definition = {
  nested: {
    Request: { fields: { resourceSpans: { rule: 'repeated', type: 'ResourceSpans', id: 1 } } },
    ResourceSpans: {
      fields: { resource: { type: 'Resource', id: 1 }, scopeSpans: { rule: 'repeated', type: 'ScopeSpans', id: 2 } },
    },
    Resource: { fields: { attributes: { rule: 'repeated', type: 'KeyValue', id: 1 } } },
    ScopeSpans: { fields: { spans: { rule: 'repeated', type: 'Span', id: 2 } } },
    Span: {
      fields: {
        traceId: { type: 'bytes', id: 1 },
        spanId: { type: 'bytes', id: 2 },
        parentSpanId: { type: 'bytes', id: 4 },
        name: { type: 'string', id: 5 },
        startTimeUnixNano: { type: 'fixed64', id: 7 },
        endTimeUnixNano: { type: 'fixed64', id: 8 },
        attributes: { rule: 'repeated', type: 'KeyValue', id: 9 },
        events: { rule: 'repeated', type: 'Event', id: 11 },
        links: { rule: 'repeated', type: 'Link', id: 13 },
        status: { type: 'Status', id: 15 },
      },
    },
    Event: {
      fields: {
        timeUnixNano: { type: 'fixed64', id: 1 },
        name: { type: 'string', id: 2 },
        attributes: { rule: 'repeated', type: 'KeyValue', id: 3 },
      },
    },
    Link: {
      fields: {
        traceId: { type: 'bytes', id: 1 },
        spanId: { type: 'bytes', id: 2 },
        attributes: { rule: 'repeated', type: 'KeyValue', id: 4 },
      },
    },
    Status: { fields: { message: { type: 'string', id: 2 }, code: { type: 'int32', id: 3 } } },
    KeyValue: { fields: { key: { type: 'string', id: 1 }, value: { type: 'AnyValue', id: 2 } } },
    AnyValue: {
      oneofs: {
        value: {
          oneof: ['stringValue', 'boolValue', 'intValue', 'doubleValue', 'arrayValue', 'kvlistValue', 'bytesValue'],
        },
      },
      fields: {
        stringValue: { type: 'string', id: 1 },
        boolValue: { type: 'bool', id: 2 },
        intValue: { type: 'int64', id: 3 },
        doubleValue: { type: 'double', id: 4 },
        arrayValue: { type: 'ArrayValue', id: 5 },
        kvlistValue: { type: 'KeyValueList', id: 6 },
        bytesValue: { type: 'bytes', id: 7 },
      },
    },
    ArrayValue: { fields: { values: { rule: 'repeated', type: 'AnyValue', id: 1 } } },
    KeyValueList: { fields: { values: { rule: 'repeated', type: 'KeyValue', id: 1 } } },
  },
}

/** A value of protobuf (`value` names the field that is set) or of JSON (there it does not). 64 bits are not always a number. */
export type AnyValue = {
  value?: string
  stringValue?: string | null
  boolValue?: boolean | null
  intValue?: Whole | null
  doubleValue?: number | string | null
  arrayValue?: { values?: AnyValue[] | null } | null
  kvlistValue?: { values?: KeyValue[] | null } | null
  bytesValue?: Uint8Array | string | null
}
export type Whole = { toString: () => string }
export type KeyValue = { key?: string | null; value?: AnyValue | null }
export type OtlpSpan = {
  traceId?: Uint8Array | string | null
  spanId?: Uint8Array | string | null
  parentSpanId?: Uint8Array | string | null
  name?: string | null
  startTimeUnixNano?: Whole | null
  endTimeUnixNano?: Whole | null
  attributes?: KeyValue[] | null
  events?: { timeUnixNano?: Whole | null; name?: string | null; attributes?: KeyValue[] | null }[] | null
  links?:
    | { traceId?: Uint8Array | string | null; spanId?: Uint8Array | string | null; attributes?: KeyValue[] | null }[]
    | null
  status?: { message?: string | null; code?: number | string | null } | null
}
export type OtlpRequest = {
  resourceSpans?:
    | {
        resource?: { attributes?: KeyValue[] | null } | null
        scopeSpans?: { spans?: OtlpSpan[] | null }[] | null
      }[]
    | null
}

const root = protobuf.Root.fromJSON(definition as unknown as protobuf.INamespace)
const requestType = root.lookupType('Request')

/** Throws where the bytes are no such message. */
export const decodeRequest = (body: Uint8Array): OtlpRequest => requestType.decode(body) as unknown as OtlpRequest

/** For clients and tests. */
export const encodeRequest = (request: OtlpRequest): Uint8Array =>
  requestType.encode(requestType.fromObject(request as { [k: string]: unknown })).finish()
