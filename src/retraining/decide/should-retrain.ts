import { type EpochMs, formatDuration } from '../../kernel/time.ts'
import type { RetrainCause } from '../retraining.ts'

/** Changes when the same facts could get another decision. */
export const retrainRuleVersion = 'retrain/1'

/** Where `monitor: { labels: { within } }` says nothing: so long after an alert labels are awaited. */
export const defaultLabelsWithinMs = 7 * 86_400_000

/** Fewer newly labelled rows than that tell a model next to nothing of a world that moved. */
export const leastLabelledRows = 30

export type RetrainFacts = {
  cause: RetrainCause
  now: EpochMs
  /** Retrainings of this environment that were decided and did not fail to start, in any order. */
  history: { cause: string; at: EpochMs }[]
  /** The cause has its retraining already, whatever came of it. */
  answered: boolean
  /** The latest due time of a schedule that was answered here. */
  lastDue?: EpochMs
  /** A retraining of this environment that is not over. */
  openExecution?: string
  /** Why nothing goes by itself here until a person acts, as after an aborted rollout. */
  barred?: string
  /** Rows labelled since the last freeze; `needed` where a dataset adds them (`plus:`). */
  labels: { needed: boolean; rows: number; least: number; withinMs: number }
  atMost: { count: number; perMs: number }
  cooldownMs: number
}

export type RetrainDecision = { outcome: 'retrain' | 'wait' | 'nothing'; reasons: string[]; cause: string }

/** The same matter has the same key for ever: an alert, the look that first saw a bound broken, a due time, a request. */
export function causeKey(cause: RetrainCause): string {
  switch (cause.kind) {
    case 'drift':
      return `drift:${cause.alert}`
    case 'metric':
      return `metric:${cause.report}`
    case 'schedule':
      return `schedule:${cause.due}`
    case 'person':
      return `person:${cause.request}`
  }
}

/**
 * Whether a cause starts a retraining now. Pure. `wait` is asked again at the next look and names everything that stands in the way;
 * `nothing`: this cause never starts one (again). A person overrides labels, bars, cool-down and budget, never a retraining
 * that is already under way. A clock that jumped back keeps what was started after "now" in cool-down and budget.
 */
export function shouldRetrain(facts: RetrainFacts): RetrainDecision {
  const cause = causeKey(facts.cause)
  if (facts.answered) return { outcome: 'nothing', reasons: [`${cause} was answered before`], cause }
  if (facts.cause.kind === 'schedule' && facts.lastDue !== undefined && facts.cause.due <= facts.lastDue)
    return { outcome: 'nothing', reasons: [`a schedule that was due at ${when(facts.lastDue)} was answered`], cause }
  if (facts.openExecution)
    return { outcome: 'wait', reasons: [`the retraining ${facts.openExecution} is still under way`], cause }
  const obstacles = obstaclesOf(facts)
  if (facts.cause.kind === 'person')
    return { outcome: 'retrain', reasons: [...whatHappened(facts), ...obstacles.map(overridden)], cause }
  if (obstacles.length > 0) return { outcome: 'wait', reasons: obstacles, cause }
  return { outcome: 'retrain', reasons: [...whatHappened(facts), ...dataReason(facts)], cause }
}

const overridden = (obstacle: string): string => `a person overrides: ${obstacle}`

function obstaclesOf(facts: RetrainFacts): string[] {
  return [barredReason(facts), labelsReason(facts), cooldownReason(facts), budgetReason(facts)].filter(
    (reason) => reason !== undefined,
  )
}

const barredReason = ({ barred }: RetrainFacts): string | undefined => barred && `a person is needed first: ${barred}`

/** Drift says that the world moved; without labels of the moved world a new model would learn the old one again. */
function labelsReason({ cause, labels, now }: RetrainFacts): string | undefined {
  if (cause.kind !== 'drift' || !labels.needed || labels.rows >= labels.least) return undefined
  const have = `${labels.rows} of at least ${labels.least} rows of the drifted window and after are labelled`
  const until = cause.openedAt + labels.withinMs
  return now < until
    ? `${have}; labels are awaited until ${when(until)}`
    : `${have}, and labels were awaited until ${when(until)}: a person is needed, to label or to retrain without`
}

function cooldownReason({ history, cooldownMs, now }: RetrainFacts): string | undefined {
  const recent = history.filter(({ at }) => at > now - cooldownMs)
  if (recent.length === 0) return undefined
  const last = Math.max(...recent.map(({ at }) => at))
  return `cools down for ${formatDuration(cooldownMs)} after the retraining of ${when(last)}, until ${when(last + cooldownMs)}`
}

function budgetReason({ history, atMost, now }: RetrainFacts): string | undefined {
  const spent = history.filter(({ at }) => at > now - atMost.perMs).sort((a, b) => b.at - a.at)
  if (spent.length < atMost.count) return undefined
  const frees = spent[atMost.count - 1]!.at + atMost.perMs
  return `${spent.length} of at most ${atMost.count} retrainings per ${formatDuration(atMost.perMs)} are spent; the next may start at ${when(frees)}`
}

function whatHappened({ cause }: RetrainFacts): string[] {
  switch (cause.kind) {
    case 'drift':
      return [`drift of ${cause.features.join(', ')}`]
    case 'metric':
      return [cause.reason]
    case 'schedule':
      return [`the schedule "${cause.text}" was due at ${when(cause.due)}`]
    case 'person':
      return [`${cause.actor} asked for it${cause.note ? `: ${cause.note}` : ''}`]
  }
}

function dataReason({ labels }: RetrainFacts): string[] {
  if (!labels.needed)
    return ['no dataset adds labelled rows of this environment (plus:), so the data is what Git holds']
  return [`${labels.rows} rows were labelled since the last freeze`]
}

const when = (at: EpochMs): string => new Date(at).toISOString()
