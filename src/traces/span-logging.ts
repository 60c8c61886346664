import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Db, type Tx, transact } from '../db/index.ts'
import type { Experiment } from '../tracking/index.ts'
import { type AggregatedSpans, aggregated, changeBySpans } from './decide/aggregate-spans.ts'
import { costKeys, costText, summed, usageKeys, usageText } from './decide/usage.ts'
import { spanStore } from './span-store.ts'
import { columnsOfCost, columnsOfUsage, type TraceRow, traceStore } from './trace-store.ts'
import { type Span, spansAreHere, type TraceId, traceMetadata, traceTags } from './traces.ts'

const sliceCharacters = 512 * 1024
const sliceSpans = 100

/**
 * Keeps spans, and brings the traces that they belong to up to date. In slices, each a transaction: a large body must not hold up
 * the other requests. A slice that was kept is kept; a client that sends all of it again changes nothing.
 */
export async function logSpans(db: Db, experiment: Experiment, spans: readonly Span[]): Promise<void> {
  const slices = [...slicesOf(spans)]
  const lastSliceOf = new Map(slices.flatMap((slice, index) => slice.map(({ traceId }) => [traceId, index] as const)))
  const withSums = new Set<TraceId>()
  for (const [index, slice] of slices.entries()) {
    for (const span of slice) if (span.usage || span.cost) withSums.add(span.traceId)
    // Sums are over the whole trace: added up at each slice, a long one would take its time squared.
    const toSum = (traceId: TraceId) => withSums.has(traceId) && lastSliceOf.get(traceId) === index
    await transact(db, (tx) => logSlice(tx, experiment, slice, toSum))
    await nextTurn()
  }
}

/** Where the spans of a trace that is not in MLflow's tracking store would lie: the client asks for it. */
export const artifactLocationOf = (experiment: Experiment, traceId: TraceId): string =>
  `${experiment.artifactLocation.replace(/\/$/, '')}/traces/${traceId}/artifacts`

function* slicesOf(spans: readonly Span[]): Iterable<Span[]> {
  let slice: Span[] = []
  let size = 0
  for (const span of spans) {
    if (slice.length >= sliceSpans || (slice.length > 0 && size + span.content.length > sliceCharacters)) {
      yield slice
      slice = []
      size = 0
    }
    slice.push(span)
    size += span.content.length
  }
  if (slice.length > 0) yield slice
}

async function logSlice(
  tx: Tx,
  experiment: Experiment,
  spans: readonly Span[],
  toSum: (traceId: TraceId) => boolean,
): Promise<void> {
  const byTrace = Map.groupBy(spans, (span) => span.traceId)
  const ids = [...byTrace.keys()].sort()
  const known = new Map((await traceStore.rows(tx, ids)).map((row) => [row.trace_id, row]))
  const told = new Map(ids.map((id) => [id, aggregated(byTrace.get(id)!)]))
  for (const id of ids) if (!known.has(id)) known.set(id, await begin(tx, experiment, id, told.get(id)!))
  await spanStore.keep(
    tx,
    spans.map((span) => ({ ...span, experimentId: known.get(span.traceId)!.experiment_id })),
  )
  const finalized = await traceStore.having(tx, traceMetadata.finalized, ids)
  const sums = await sumsOf(tx, ids.filter(toSum))
  for (const id of ids)
    await bringUpToDate(tx, known.get(id)!, told.get(id)!, { finalized: finalized.has(id), ...sums.get(id) })
}

async function begin(tx: Tx, experiment: Experiment, traceId: TraceId, told: AggregatedSpans): Promise<TraceRow> {
  await traceStore.insert(tx, {
    trace_id: traceId,
    experiment_id: Number(experiment.experimentId),
    started_at: told.startMs,
    duration_ms: told.endMs === undefined ? null : told.endMs - told.startMs,
    state: told.rootState ?? 'IN_PROGRESS',
  })
  await traceStore.setPairs(tx, 'trace_tags', traceId, {
    [traceTags.artifactLocation]: artifactLocationOf(experiment, traceId),
  })
  return traceStore.byId(tx, traceId)
}

type Sums = { usage?: Record<string, number> | undefined; cost?: Record<string, number> | undefined }

/** Over all spans that are kept, not only those that came now: a parent may come after its children. */
async function sumsOf(tx: Tx, traceIds: readonly TraceId[]): Promise<Map<TraceId, Sums>> {
  if (traceIds.length === 0) return new Map()
  const stored = Map.groupBy(await spanStore.usages(tx, traceIds), ({ traceId }) => traceId)
  return new Map(
    traceIds.map((id) => {
      const spans = stored.get(id) ?? []
      const usage = summed(
        spans.map((span) => span.usage),
        usageKeys,
      )
      const cost = summed(
        spans.map((span) => span.cost),
        costKeys,
      )
      return [id, { usage, cost }]
    }),
  )
}

async function bringUpToDate(
  tx: Tx,
  row: TraceRow,
  told: AggregatedSpans,
  { finalized, usage, cost }: Sums & { finalized: boolean },
): Promise<void> {
  const has = (columns: readonly (number | null)[]): boolean => columns.some((value) => value !== null)
  // What the client told of the whole trace counts more than what its spans add up to.
  const newUsage = finalized && has([row.input_tokens, row.output_tokens, row.total_tokens]) ? undefined : usage
  const newCost = finalized && has([row.input_cost, row.output_cost, row.total_cost]) ? undefined : cost
  const session = row.session_id === null ? told.sessionId : undefined
  await traceStore.update(tx, row.trace_id, {
    ...changeBySpans(row, told, finalized),
    ...(newUsage ? columnsOfUsage(newUsage) : {}),
    ...(newCost ? columnsOfCost(newCost) : {}),
    ...(session === undefined ? {} : { session_id: session }),
    ...(told.traceTags[traceTags.name] === undefined ? {} : { name: told.traceTags[traceTags.name]! }),
  })
  const user = told.userId === undefined ? {} : await userUnlessTold(tx, row.trace_id, told.userId)
  await traceStore.setPairs(tx, 'trace_metadata', row.trace_id, {
    ...(newUsage ? { [traceMetadata.usage]: usageText(newUsage) } : {}),
    ...(newCost ? { [traceMetadata.cost]: costText(newCost) } : {}),
    ...(session === undefined ? {} : { [traceMetadata.session]: session }),
    ...user,
  })
  const { [traceTags.name]: _name, ...tags } = told.traceTags
  await traceStore.setPairs(tx, 'trace_tags', row.trace_id, {
    ...told.resourceTags,
    ...tags,
    [traceTags.spansLocation]: spansAreHere,
  })
}

async function userUnlessTold(tx: Tx, traceId: TraceId, userId: string): Promise<Record<string, string>> {
  const told = await traceStore.having(tx, traceMetadata.user, [traceId])
  return told.has(traceId) ? {} : { [traceMetadata.user]: userId }
}
