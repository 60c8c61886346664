import type { EpochMs } from '../../kernel/time.ts'
import type { Span, TraceState } from '../traces.ts'

/** What some spans of one trace tell of it. */
export type AggregatedSpans = {
  startMs: EpochMs
  endMs: EpochMs | undefined
  /** Of the root, where it is among them. */
  rootState: 'OK' | 'ERROR' | undefined
  requestPreview: string | undefined
  responsePreview: string | undefined
  sessionId: string | undefined
  userId: string | undefined
  resourceTags: Record<string, string>
  traceTags: Record<string, string>
}

/** `spans` is not empty. */
export function aggregated(spans: readonly Span[]): AggregatedSpans {
  const root = spans.find((span) => span.parentId === undefined)
  const lastRoot = spans.findLast((span) => span.parentId === undefined)
  const ends = spans.flatMap((span) => span.endMs ?? [])
  return {
    startMs: least(spans.map((span) => span.startMs)),
    endMs: ends.length === 0 ? undefined : -least(ends.map((end) => -end)),
    rootState: root && (root.status === 'ERROR' ? 'ERROR' : 'OK'),
    requestPreview: lastRoot?.requestPreview,
    responsePreview: lastRoot?.responsePreview,
    sessionId: spans.find((span) => span.sessionId !== undefined)?.sessionId,
    userId: spans.find((span) => span.userId !== undefined)?.userId,
    resourceTags: spans.find((span) => Object.keys(span.resourceTags).length > 0)?.resourceTags ?? {},
    traceTags: Object.assign({}, ...spans.map((span) => span.traceTags)) as Record<string, string>,
  }
}

type Known = {
  started_at: EpochMs
  duration_ms: number | null
  state: string
  request_preview: string | null
  response_preview: string | null
}

/**
 * What spans change of a trace that is known: it reaches from the earliest start to the latest end, unless the client has told of
 * the whole (`finalized`); it is over when its root is; previews are set once.
 */
export function changeBySpans(
  known: Known,
  told: AggregatedSpans,
  finalized: boolean,
): Partial<Known> & { state?: TraceState } {
  const startedAt = Math.min(known.started_at, told.startMs)
  const knownEnd = known.duration_ms === null ? undefined : known.started_at + known.duration_ms
  const times =
    told.endMs === undefined
      ? { started_at: startedAt }
      : { started_at: startedAt, duration_ms: Math.max(told.endMs, knownEnd ?? told.endMs) - startedAt }
  const isOpen = known.state === 'IN_PROGRESS' || known.state === 'STATE_UNSPECIFIED'
  return {
    ...(finalized ? {} : times),
    ...(isOpen && told.rootState ? { state: told.rootState } : {}),
    ...(known.request_preview === null && told.requestPreview !== undefined
      ? { request_preview: told.requestPreview }
      : {}),
    ...(known.response_preview === null && told.responsePreview !== undefined
      ? { response_preview: told.responsePreview }
      : {}),
  }
}

const least = (numbers: readonly number[]): number => numbers.reduce((a, b) => Math.min(a, b))
