import { type Db, insertStatement } from '../db/index.ts'
import type { TraceTables } from '../db/tables/traces.ts'
import { dumps } from './decide/python-json.ts'
import { numbersOf, type UsageNode } from './decide/usage.ts'
import { columnsOfCost } from './trace-store.ts'
import type { Span, TraceId } from './traces.ts'

export type StoredUsage = { traceId: TraceId; usage: UsageNode; cost: UsageNode }

const columns = {
  trace_id: 'text',
  span_id: 'text',
  experiment_id: 'bigint',
  parent_span_id: 'text',
  name: 'text',
  type: 'text',
  status: 'text',
  start_ns: 'text',
  start_ms: 'bigint',
  duration_ms: 'bigint',
  content: 'text',
  model_name: 'text',
  model_provider: 'text',
  usage: 'text',
  cost: 'text',
  input_cost: 'double precision',
  output_cost: 'double precision',
  total_cost: 'double precision',
} as const satisfies Record<keyof TraceTables['trace_spans'], string>
const names = Object.keys(columns) as (keyof typeof columns)[]
/** Where it lies stays as it was first told. */
const replaced = names.filter((name) => !['trace_id', 'span_id', 'experiment_id'].includes(name))

const put = insertStatement(
  'trace_spans',
  columns,
  `on conflict (trace_id, span_id) do update set ${replaced.map((name) => `${name} = excluded.${name}`).join(', ')}`,
)

/** Spans, one row each. */
export const spanStore = {
  /** A span that is there already is told anew: clients send one again when it goes on. */
  async keep(db: Db, spans: readonly (Span & { experimentId: number })[]): Promise<void> {
    const rows = [...withoutTwins(spans)].map(rowOf)
    await put(
      db,
      rows.map((row) => names.map((name) => row[name])),
    )
  },

  /** The contents, roots first, then by time. */
  async contents(db: Db, traceId: TraceId): Promise<string[]> {
    const rows = await db
      .selectFrom('trace_spans')
      .select(['content', 'parent_span_id', 'start_ns'])
      .where('trace_id', '=', traceId)
      .execute()
    return rows
      .map((row) => ({ content: row.content, child: row.parent_span_id === null ? 0 : 1, start: BigInt(row.start_ns) }))
      .sort((a, b) => a.child - b.child || (a.start < b.start ? -1 : a.start > b.start ? 1 : 0))
      .map((row) => row.content)
  },

  /** Tokens and costs of all spans of the traces, with their place in the tree. */
  async usages(db: Db, traceIds: readonly TraceId[]): Promise<StoredUsage[]> {
    const rows = await db
      .selectFrom('trace_spans')
      .select(['trace_id', 'span_id', 'parent_span_id', 'usage', 'cost'])
      .where('trace_id', 'in', traceIds)
      .execute()
    return rows.map((row) => {
      const place = { spanId: row.span_id, parentId: row.parent_span_id ?? undefined }
      return {
        traceId: row.trace_id,
        usage: { ...place, data: row.usage === null ? undefined : numbersOf(JSON.parse(row.usage)) },
        cost: { ...place, data: row.cost === null ? undefined : numbersOf(JSON.parse(row.cost)) },
      }
    })
  },

  async moveTo(db: Db, traceId: TraceId, experimentId: number): Promise<void> {
    await db.updateTable('trace_spans').set({ experiment_id: experimentId }).where('trace_id', '=', traceId).execute()
  },
}

/** PostgreSQL refuses a statement that writes one row twice; the last telling counts. */
function withoutTwins<T extends Span>(spans: readonly T[]): Iterable<T> {
  return new Map(spans.map((span) => [`${span.traceId}/${span.spanId}`, span])).values()
}

function rowOf(span: Span & { experimentId: number }): TraceTables['trace_spans'] {
  return {
    trace_id: span.traceId,
    span_id: span.spanId,
    experiment_id: span.experimentId,
    parent_span_id: span.parentId ?? null,
    name: span.name,
    type: span.type ?? null,
    status: span.status,
    start_ns: span.startNs,
    start_ms: span.startMs,
    duration_ms: span.durationMs ?? null,
    content: span.content,
    model_name: span.model ?? null,
    model_provider: span.provider ?? null,
    usage: span.usage ? dumps(span.usage) : null,
    cost: span.cost ? dumps(span.cost) : null,
    ...columnsOfCost(span.cost ?? {}),
  }
}
