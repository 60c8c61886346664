import type { Db } from '../db/index.ts'
import { dumps } from './decide/python-json.ts'
import { numbersOf, type UsageNode } from './decide/usage.ts'
import { chunks, columnsOfCost } from './trace-store.ts'
import type { Span, TraceId } from './traces.ts'

export type StoredUsage = { traceId: TraceId; usage: UsageNode; cost: UsageNode }

/** Spans, one row each. */
export const spanStore = {
  /** A span that is there already is told anew: clients send one again when it goes on. */
  async keep(db: Db, spans: readonly (Span & { experimentId: number })[]): Promise<void> {
    for (const some of chunks([...withoutTwins(spans)], 100))
      await db
        .insertInto('trace_spans')
        .values(some.map(rowOf))
        .onConflict((c) =>
          c.columns(['trace_id', 'span_id']).doUpdateSet((e) => ({
            parent_span_id: e.ref('excluded.parent_span_id'),
            name: e.ref('excluded.name'),
            type: e.ref('excluded.type'),
            status: e.ref('excluded.status'),
            start_ns: e.ref('excluded.start_ns'),
            start_ms: e.ref('excluded.start_ms'),
            duration_ms: e.ref('excluded.duration_ms'),
            content: e.ref('excluded.content'),
            model_name: e.ref('excluded.model_name'),
            model_provider: e.ref('excluded.model_provider'),
            usage: e.ref('excluded.usage'),
            cost: e.ref('excluded.cost'),
            input_cost: e.ref('excluded.input_cost'),
            output_cost: e.ref('excluded.output_cost'),
            total_cost: e.ref('excluded.total_cost'),
          })),
        )
        .execute()
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

function rowOf(span: Span & { experimentId: number }) {
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
