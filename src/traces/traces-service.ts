import { type Db, transact } from '../db/index.ts'
import { AppError } from '../kernel/errors.ts'
import { newHexId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Clock } from '../ports/clock.ts'
import { type ExperimentId, experimentNumber, type Found, invalid, type TrackingService } from '../tracking/index.ts'
import { assessmentStore } from './assessment-store.ts'
import { checkedTraceTag, checkLength, refuseNul, traceLimits } from './decide/limits.ts'
import { plain } from './decide/python-json.ts'
import { artifactLocationOf, logSpans } from './span-logging.ts'
import { spanStore } from './span-store.ts'
import { askMetric } from './trace-metrics.ts'
import { correlate, searchTraces, type TraceSearch } from './trace-search.ts'
import { columnsOfMetadata, traceStore } from './trace-store.ts'
import {
  type Assessment,
  type AssessmentChange,
  type Correlation,
  type MetricAnswer,
  type MetricQuestion,
  type NewAssessment,
  type NewTrace,
  type Span,
  spansAreHere,
  type TraceId,
  type TraceInfo,
  type TraceState,
  traceMetadata,
  traceTags,
} from './traces.ts'

type Deletion = {
  experimentId: ExperimentId
  until?: EpochMs | undefined
  limit?: number | undefined
  traceIds?: readonly TraceId[] | undefined
}

const deletedAtOnce = 200
/** Spans and the trace itself come from a client in requests of their own: how long to wait for the rest, in all 3 s. */
const waitsMs = [100, 200, 400, 800, 1500]

/** Traces: told of by clients at their end, their spans as they go, and what people and judges say of them. */
export class TracesService {
  readonly #db: Db
  readonly #clock: Clock
  readonly #tracking: TrackingService

  constructor(parts: { db: Db; clock: Clock; tracking: TrackingService }) {
    this.#db = parts.db
    this.#clock = parts.clock
    this.#tracking = parts.tracking
  }

  /** The client's telling of a whole trace. What its spans told before is kept where this says nothing else. */
  async start(trace: NewTrace): Promise<TraceInfo> {
    checkNew(trace)
    const experiment = await this.#activeExperiment(trace.experimentId)
    const { [traceTags.name]: name, ...tags } = trace.tags
    const columns = {
      experiment_id: experimentNumber(trace.experimentId),
      started_at: trace.startedAt,
      duration_ms: trace.durationMs ?? null,
      state: trace.state,
      client_request_id: trace.clientRequestId ?? null,
      ...(name === undefined ? {} : { name }),
      ...(trace.requestPreview === undefined ? {} : { request_preview: trace.requestPreview }),
      ...(trace.responsePreview === undefined ? {} : { response_preview: trace.responsePreview }),
      ...columnsOfMetadata(trace.metadata),
    }
    const now = this.#clock.now()
    return transact(this.#db, async (tx) => {
      const { traceId } = trace
      const known = await traceStore.find(tx, traceId)
      if (known) await traceStore.update(tx, traceId, columns)
      else await traceStore.insert(tx, { trace_id: traceId, ...columns })
      if (known && known.experiment_id !== columns.experiment_id)
        await spanStore.moveTo(tx, traceId, columns.experiment_id)
      const artifactLocation = artifactLocationOf(experiment, traceId)
      await traceStore.setPairs(tx, 'trace_tags', traceId, { ...tags, [traceTags.artifactLocation]: artifactLocation })
      await traceStore.setPairs(tx, 'trace_metadata', traceId, { ...trace.metadata, [traceMetadata.finalized]: 'true' })
      for (const assessment of trace.assessments) await assessmentStore.put(tx, { ...assessment, traceId }, now)
      return (await traceStore.infos(tx, [await traceStore.byId(tx, traceId)]))[0]!
    })
  }

  /** As clients before 3.0 do: a trace that is begun here, and ended later. */
  async begin(trace: {
    experimentId: ExperimentId
    startedAt: EpochMs
    metadata: Record<string, string>
    tags: Record<string, string>
  }): Promise<TraceInfo> {
    const traceId = `tr-${newHexId(this.#clock.now())}`
    const { [traceTags.name]: name, ...tags } = trace.tags
    checkPairs(trace)
    const experiment = await this.#activeExperiment(trace.experimentId)
    return transact(this.#db, async (tx) => {
      await traceStore.insert(tx, {
        trace_id: traceId,
        experiment_id: experimentNumber(trace.experimentId),
        started_at: trace.startedAt,
        state: 'IN_PROGRESS',
        ...(name === undefined ? {} : { name }),
        ...columnsOfMetadata(trace.metadata),
      })
      const artifactLocation = artifactLocationOf(experiment, traceId)
      await traceStore.setPairs(tx, 'trace_tags', traceId, { ...tags, [traceTags.artifactLocation]: artifactLocation })
      await traceStore.setPairs(tx, 'trace_metadata', traceId, trace.metadata)
      return (await traceStore.infos(tx, [await traceStore.byId(tx, traceId)]))[0]!
    })
  }

  async end(
    traceId: TraceId,
    end: { at: EpochMs; state: TraceState; metadata: Record<string, string>; tags: Record<string, string> },
  ): Promise<TraceInfo> {
    checkPairs(end)
    const { [traceTags.name]: name, ...tags } = end.tags
    return transact(this.#db, async (tx) => {
      const known = await traceStore.byId(tx, traceId)
      await traceStore.update(tx, traceId, {
        duration_ms: end.at - known.started_at,
        state: end.state,
        ...(name === undefined ? {} : { name }),
        ...columnsOfMetadata(end.metadata),
      })
      await traceStore.setPairs(tx, 'trace_metadata', traceId, end.metadata)
      await traceStore.setPairs(tx, 'trace_tags', traceId, tags)
      return (await traceStore.infos(tx, [await traceStore.byId(tx, traceId)]))[0]!
    })
  }

  /** Also of traces that nobody has told of yet: they are begun. Spans that are there already are told anew. */
  async logSpans(experimentId: ExperimentId, spans: readonly Span[]): Promise<void> {
    if (spans.length === 0) return
    for (const span of spans) refuseNul('Span', span.traceId, span.name, span.type, span.sessionId, span.userId)
    await logSpans(this.#db, await this.#tracking.experiment(experimentId), spans)
  }

  /** Throws NotFound. */
  async info(traceId: TraceId): Promise<TraceInfo> {
    return (await traceStore.infos(this.#db, [await traceStore.byId(this.#db, traceId)]))[0]!
  }

  /** Those that there are, in the order asked for; only of these experiments, where some are named. */
  async infos(traceIds: readonly TraceId[], experimentIds?: readonly ExperimentId[]): Promise<TraceInfo[]> {
    const within = experimentIds && new Set(experimentIds.map(experimentNumber))
    const rows = await traceStore.rows(this.#db, traceIds)
    return traceStore.infos(
      this.#db,
      rows.filter((row) => !within || within.has(row.experiment_id)),
    )
  }

  /** Which experiments the traces are in; without those that there are not. */
  async experimentsOf(traceIds: readonly TraceId[]): Promise<Set<ExperimentId>> {
    return new Set((await traceStore.rows(this.#db, traceIds)).map((row) => String(row.experiment_id)))
  }

  /** The contents of the spans that are kept here, roots first; each is JSON. */
  spanContents(traceId: TraceId): Promise<string[]> {
    return spanStore.contents(this.#db, traceId)
  }

  /** Undefined where some are not here yet. */
  async completeSpans(info: TraceInfo): Promise<string[] | undefined> {
    const spans = await this.spanContents(info.traceId)
    return isComplete(info, spans.length) ? spans : undefined
  }

  /**
   * The trace with the contents of its spans. Waits a while for spans that are still on their way, unless a part will do.
   * Throws NotFound where it does not come; BadRequest where the spans are kept elsewhere.
   */
  async whole(traceId: TraceId, options: { partial: boolean }): Promise<{ info: TraceInfo; spans: string[] }> {
    for (const waitMs of [...waitsMs, undefined]) {
      const info = await this.info(traceId)
      if (info.tags[traceTags.spansLocation] !== spansAreHere)
        throw new AppError('BadRequest', 'Trace data not stored in tracking store', 'Read its file `traces.json`.')
      const spans = await this.spanContents(traceId)
      if (options.partial || isComplete(info, spans.length)) return { info, spans }
      if (waitMs !== undefined) await this.#clock.sleep(waitMs)
    }
    throw new AppError(
      'NotFound',
      `Trace with ID ${traceId} is not fully exported yet, please try again later.`,
      'Ask again, or for a part.',
    )
  }

  search(search: TraceSearch): Promise<Found<TraceInfo>> {
    return searchTraces(this.#db, search)
  }

  async setTag(traceId: TraceId, key: string, value: string): Promise<void> {
    const tag = checkedTraceTag(key, value)
    if (key === traceTags.name) checkLength('Trace name', traceLimits.name, value)
    await transact(this.#db, async (tx) => {
      await traceStore.byId(tx, traceId)
      if (key === traceTags.name) await traceStore.update(tx, traceId, { name: tag.value })
      else await traceStore.setPairs(tx, 'trace_tags', traceId, { [tag.key]: tag.value })
    })
  }

  /** Throws NotFound. */
  deleteTag(traceId: TraceId, key: string): Promise<void> {
    return transact(this.#db, (tx) => traceStore.deleteTag(tx, traceId, key))
  }

  /** By ids, or the oldest up to a time. Gives how many there were. In slices: other requests go on. */
  async delete(deletion: Deletion): Promise<number> {
    checkDeletion(deletion)
    const { experimentId, until, traceIds } = deletion
    let deleted = 0
    for (const ids of traceIds?.length ? slices(traceIds) : forever()) {
      const limit = Math.min(deletedAtOnce, (deletion.limit ?? Number.POSITIVE_INFINITY) - deleted)
      if (limit <= 0) break
      const gone = await transact(this.#db, async (tx) => {
        const found = await traceStore.idsToDelete(tx, {
          experimentId,
          limit,
          ...(until === undefined ? {} : { until }),
          ...(ids ? { traceIds: ids } : {}),
        })
        await traceStore.delete(tx, found)
        return found.length
      })
      deleted += gone
      if (!ids && gone < limit) break
    }
    return deleted
  }

  /** Some of the experiment's traces for good: how many rows those were, 0 when none is left. */
  purgeExperiment(experimentId: ExperimentId, limit: number): Promise<number> {
    return transact(this.#db, (tx) => traceStore.purgeSome(tx, experimentId, limit))
  }

  /** Some of the links to runs that are no more. */
  purgeLinksToRuns(runIds: readonly string[], limit: number): Promise<number> {
    return transact(this.#db, (tx) => traceStore.unlinkSome(tx, 'run', runIds, limit))
  }

  /** A run has the traces that were linked to it. Ids of traces that there are not are kept too, as their spans may yet come. */
  async linkToRun(traceIds: readonly TraceId[], runId: string): Promise<void> {
    if (traceIds.length > traceLimits.linksPerRequest)
      throw invalid(
        `Cannot link more than ${traceLimits.linksPerRequest} traces to a run in a single request. Provided ${traceIds.length} traces.`,
      )
    refuseNul('A trace id', ...traceIds)
    if (!(await this.#tracking.findRun(runId)))
      throw new AppError('NotFound', `Run with id=${runId} not found`, 'Search the runs of the experiment.')
    await transact(this.#db, (tx) => traceStore.link(tx, traceIds, 'run', [runId]))
  }

  async linkPrompts(traceId: TraceId, versions: readonly { name: string; version: string }[]): Promise<void> {
    refuseNul('A prompt', ...versions.flatMap(({ name, version }) => [name, version]))
    await transact(this.#db, async (tx) => {
      await traceStore.byId(tx, traceId)
      const targets = versions.map(({ name, version }) => `${name}/${version}`)
      await traceStore.link(tx, [traceId], 'prompt', targets)
    })
  }

  correlation(question: {
    experimentIds: readonly ExperimentId[]
    filter1: string
    filter2: string
    base?: string
  }): Promise<Correlation> {
    return correlate(this.#db, question)
  }

  metrics(question: MetricQuestion): Promise<MetricAnswer[]> {
    return askMetric(this.#db, question)
  }

  // Assessments

  createAssessment(assessment: NewAssessment): Promise<Assessment> {
    checkAssessment(assessment)
    return transact(this.#db, async (tx) => {
      await traceStore.byId(tx, assessment.traceId)
      return assessmentStore.create(tx, assessment, this.#clock.now())
    })
  }

  /** Throws NotFound. */
  assessment(traceId: TraceId, assessmentId: string): Promise<Assessment> {
    return assessmentStore.byId(this.#db, traceId, assessmentId)
  }

  /** Throws NotFound; BadRequest where the change does not fit its kind. */
  updateAssessment(traceId: TraceId, assessmentId: string, change: AssessmentChange): Promise<Assessment> {
    checkAssessment({ ...change, value: change.feedback?.value ?? change.expectation?.value })
    return transact(this.#db, (tx) => assessmentStore.update(tx, { traceId, assessmentId }, change, this.#clock.now()))
  }

  /** One that is not there is deleted already. */
  async deleteAssessment(traceId: TraceId, assessmentId: string): Promise<void> {
    await transact(this.#db, (tx) => assessmentStore.delete(tx, traceId, assessmentId))
  }

  async #activeExperiment(experimentId: ExperimentId) {
    const experiment = await this.#tracking.experiment(experimentId)
    if (experiment.lifecycle !== 'active')
      throw invalid(
        `The experiment ${experimentId} must be in the 'active' state. Current state is ${experiment.lifecycle}.`,
      )
    return experiment
  }
}

function isComplete(info: TraceInfo, count: number): boolean {
  const stats = plain(info.metadata[traceMetadata.sizeStats]) as { num_spans?: unknown } | null | undefined
  const expected = typeof stats?.num_spans === 'number' ? stats.num_spans : 1
  return count >= Math.max(1, expected)
}

function checkNew(trace: NewTrace): void {
  if (trace.traceId === '') throw invalid("Missing value for required parameter 'trace.trace_info.trace_id'.")
  checkLength('trace_id', traceLimits.traceId, trace.traceId)
  refuseNul('A trace', trace.traceId, trace.clientRequestId, trace.requestPreview, trace.responsePreview)
  checkPairs(trace)
  for (const assessment of trace.assessments) checkAssessment(assessment)
}

function checkPairs({ tags, metadata }: { tags: Record<string, string>; metadata: Record<string, string> }): void {
  checkLength('Trace name', traceLimits.name, tags[traceTags.name])
  for (const pairs of [tags, metadata]) refuseNul('A trace', ...Object.entries(pairs).flat())
}

function checkAssessment(assessment: Partial<Omit<NewAssessment, 'value'>> & { value?: string | undefined }): void {
  const { assessmentId, traceId, name, spanId, rationale, overrides, source, metadata } = assessment
  const texts = [assessmentId, traceId, name, spanId, rationale, overrides, source?.id]
  refuseNul('An assessment', ...texts, ...Object.entries(metadata ?? {}).flat())
}

function checkDeletion({ until, limit, traceIds }: Deletion): void {
  if (until === undefined && !traceIds?.length)
    throw invalid('Either `max_timestamp_millis` or `trace_ids` must be specified.')
  if (until !== undefined && traceIds?.length)
    throw invalid('Only one of `max_timestamp_millis` and `trace_ids` can be specified.')
  if (traceIds?.length && limit !== undefined)
    throw invalid("`max_traces` can't be specified if `trace_ids` is specified.")
  if (limit !== undefined && limit <= 0) throw invalid(`\`max_traces\` must be a positive integer, received ${limit}.`)
}

function* slices(ids: readonly TraceId[]): Iterable<readonly TraceId[] | undefined> {
  const distinct = [...new Set(ids)]
  for (let start = 0; start < distinct.length; start += deletedAtOnce)
    yield distinct.slice(start, start + deletedAtOnce)
}

function* forever(): Iterable<undefined> {
  for (;;) yield undefined
}
