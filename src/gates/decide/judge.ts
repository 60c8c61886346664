import { type Bound, type BoundsExpr, boundsIn, compares, isRelative, targetOf } from '../../kernel/bound.ts'
import type {
  BoundResult,
  Gate,
  GateFacts,
  GateOutcome,
  GateVerdict,
  Objective,
  ObjectiveOutcome,
  ObjectiveVerdict,
} from '../gate.ts'

const ruleVersion = 'gate/1'

/** true, false, or unknown where the champion's value cannot be used. */
type Held = boolean | undefined

/** An objective's champion: there is none yet, its value is unusable (and why), or its value. */
type Champion = { is: 'absent' } | { is: 'unusable'; why: string } | { is: 'there'; value: number }

/**
 * Judges a candidate. Pure; never throws; the order of objectives never changes outcome or score.
 *
 * Points as in Keptn: pass → weight, warn → weight/2, else 0; no pass bounds → informational; a failed key objective
 * fails the gate; only informational objectives → pass 100; no objectives → fail.
 * Where the champion is missing we differ from Keptn, whose relative criteria then pass in silence:
 * without a champion, champion bounds are left out and the fixed ones decide. An objective that has none left is not
 * judged: it carries no points, and the gate is inconclusive if it is a key objective or if nothing else is judged
 * (`first: 'allow'` lets both through). With a champion whose value is missing or NaN, the objective is inconclusive,
 * and so is the gate unless it fails even if that objective were to pass.
 */
export function judge(gate: Gate, facts: GateFacts): GateVerdict {
  const objectives = gate.objectives.map((objective) => judgeObjective(objective, facts))
  const hasChampion = facts.champion !== undefined
  const points = count(objectives, hasChampion)
  const decided = decide(gate, objectives, points, hasChampion)
  const shown = objectives.filter((one) => !isQuiet(one))
  return {
    outcome: decided.outcome,
    score: points.earned * 100,
    objectives,
    reasons: [decided.reason, ...shown.map((one) => one.reason)],
    ruleVersion,
  }
}

/** Nothing to explain: it passed or informs, and every one of its bounds had something to compare with. */
const isQuiet = (one: ObjectiveVerdict): boolean =>
  (one.outcome === 'pass' || one.outcome === 'info') && one.bounds.every((bound) => bound.target !== undefined)

/** Shares of the achievable points: as judged, and if every undecided objective were to pass. */
type Points = { earned: number; best: number }

function count(objectives: ObjectiveVerdict[], hasChampion: boolean): Points {
  const carrying = objectives.filter((one) => one.outcome !== 'info')
  const undecided = carrying.filter(isUndecided)
  // Without a champion an undecided objective is left out of the score; with one it waits for its value.
  const judged = hasChampion ? carrying : carrying.filter((one) => !isUndecided(one))
  const earned = sum(judged.map((one) => one.score))
  const best = sum(carrying.map((one) => (isUndecided(one) ? one.weight : one.score)))
  // Nothing to earn means only informational objectives or weights of 0, and counts as all of it (Keptn: 100).
  const nothing = undecided.length > 0 || objectives.length === 0 ? 0 : 1
  return { earned: share(earned, weightOf(judged), nothing), best: share(best, weightOf(carrying), 1) }
}

const share = (part: number, whole: number, otherwise: number): number => (whole === 0 ? otherwise : part / whole)
const weightOf = (objectives: ObjectiveVerdict[]): number => sum(objectives.map((one) => one.weight))
const isUndecided = (one: ObjectiveVerdict): boolean => one.outcome === 'inconclusive'

function decide(
  gate: Gate,
  objectives: ObjectiveVerdict[],
  points: Points,
  hasChampion: boolean,
): { outcome: GateOutcome; reason: string } {
  if (objectives.length === 0) return { outcome: 'fail', reason: 'The gate has no objectives.' }

  const failedKeys = objectives.filter((one) => one.key && one.outcome === 'fail')
  if (failedKeys.length > 0) return { outcome: 'fail', reason: `Key objective failed: ${names(failedKeys)}.` }

  const undecided = objectives.filter(isUndecided)
  const open = hasChampion
    ? championUnusable(undecided)
    : gate.first === 'allow'
      ? undefined
      : firstNeedsPerson(objectives)
  if (open) {
    const lowest = Math.min(gate.total.warn, gate.total.pass)
    if (points.best >= lowest) return { outcome: 'inconclusive', reason: open }
    return { outcome: 'fail', reason: `Score at best ${percent(points.best)}, below ${percent(lowest)}.` }
  }

  const nothingJudged = objectives.every((one) => one.outcome === 'info' || isUndecided(one))
  if (nothingJudged) {
    const reason =
      undecided.length > 0 ? 'There is no champion, and the gate says first: allow.' : 'Only informational objectives.'
    return { outcome: 'pass', reason }
  }

  const score = percent(points.earned)
  if (points.earned >= gate.total.pass)
    return { outcome: 'pass', reason: `Score ${score}, pass from ${percent(gate.total.pass)}.` }
  if (points.earned >= gate.total.warn)
    return {
      outcome: 'warn',
      reason: `Score ${score}, pass from ${percent(gate.total.pass)}, warn from ${percent(gate.total.warn)}.`,
    }
  return { outcome: 'fail', reason: `Score ${score}, below ${percent(Math.min(gate.total.warn, gate.total.pass))}.` }
}

const championUnusable = (undecided: ObjectiveVerdict[]): string | undefined =>
  undecided.length > 0 ? `The champion has no usable value for ${names(undecided)}.` : undefined

/** Without a champion: what keeps the fixed bounds from deciding alone. */
function firstNeedsPerson(objectives: ObjectiveVerdict[]): string | undefined {
  const undecided = objectives.filter(isUndecided)
  if (undecided.length === 0) return undefined
  const keys = undecided.filter((one) => one.key)
  if (keys.length > 0) return `There is no champion to compare the key objective ${names(keys)} with; a person decides.`
  const others = objectives.some((one) => one.outcome !== 'info' && !isUndecided(one))
  return others
    ? undefined
    : 'There is no champion, and every bound compares with one; a person decides, or first: allow.'
}

function judgeObjective(objective: Objective, facts: GateFacts): ObjectiveVerdict {
  const { metric } = objective
  const value = at(facts.candidate, metric)
  const champion = championOf(metric, facts)
  const bounds = [
    ...listed(objective.pass).map((bound) => result(bound, 'pass', value, champion)),
    ...listed(objective.warn).map((bound) => result(bound, 'warn', value, champion)),
  ]
  const { outcome, reason } = outcomeOf(objective, value, champion, facts)
  const score = outcome === 'pass' ? objective.weight : outcome === 'warn' ? objective.weight / 2 : 0
  return {
    metric,
    outcome,
    value,
    champion: at(facts.champion, metric),
    bounds,
    score,
    weight: objective.weight,
    key: objective.key,
    reason: `${metric}: ${reason}`,
  }
}

function championOf(metric: string, facts: GateFacts): Champion {
  if (!facts.champion) return { is: 'absent' }
  const value = at(facts.champion, metric)
  if (value === undefined)
    return { is: 'unusable', why: at(facts.missing?.champion, metric) ?? 'the champion has no value' }
  if (Number.isNaN(value)) return { is: 'unusable', why: "the champion's value is NaN" }
  return { is: 'there', value }
}

function outcomeOf(
  objective: Objective,
  value: number | undefined,
  champion: Champion,
  facts: GateFacts,
): { outcome: ObjectiveOutcome; reason: string } {
  if (listed(objective.pass).length === 0) {
    return {
      outcome: 'info',
      reason: value === undefined ? 'no value; informational' : `${show(value)}; informational`,
    }
  }
  // A missing or unordered value fails: silence must never promote a model.
  if (value === undefined) {
    return { outcome: 'fail', reason: at(facts.missing?.candidate, objective.metric) ?? 'the candidate has no value' }
  }
  if (Number.isNaN(value)) return { outcome: 'fail', reason: "the candidate's value is NaN, which meets no bound" }
  return champion.is === 'absent' ? outcomeOfFirst(objective, value) : outcomeBeside(objective, value, champion)
}

/** No champion: champion bounds are left out wherever they stand, also inside any: […]. */
function outcomeOfFirst(objective: Objective, value: number): { outcome: ObjectiveOutcome; reason: string } {
  const pass = objective.pass && fixedPart(objective.pass)
  const warn = objective.warn && fixedPart(objective.warn)
  const dropped = [...listed(objective.pass), ...listed(objective.warn)].filter(isRelative)
  const said = dropped.length > 0 ? `; there is no champion, so ${quoted(dropped)} was left out` : ''
  if (!pass && !warn) return { outcome: 'inconclusive', reason: `${show(value)}; there is no champion to compare with` }
  const absent: Champion = { is: 'absent' }
  if (pass && evaluate(pass, value, absent))
    return { outcome: 'pass', reason: `${show(value)} meets ${quoted(boundsIn(pass))}${said}` }
  if (warn && evaluate(warn, value, absent))
    return { outcome: 'warn', reason: `${show(value)} meets only ${quoted(boundsIn(warn))}${said}` }
  const missed = boundsIn(pass ?? warn!).filter((bound) => !evaluate(bound, value, absent))
  return { outcome: 'fail', reason: `${show(value)} misses ${quoted(missed)}${said}` }
}

function outcomeBeside(
  objective: Objective,
  value: number,
  champion: Champion,
): { outcome: ObjectiveOutcome; reason: string } {
  const pass = evaluate(objective.pass ?? none, value, champion)
  if (pass === true) return { outcome: 'pass', reason: `${show(value)} meets ${quoted(listed(objective.pass))}` }
  const unclear = { outcome: 'inconclusive', reason: `${show(value)}; ${whyUnclear(champion)}` } as const
  if (pass === undefined) return unclear
  const warn = listed(objective.warn).length > 0 && evaluate(objective.warn ?? none, value, champion)
  if (warn === undefined) return unclear
  const missed = quoted(listed(objective.pass).filter((bound) => evaluate(bound, value, champion) === false))
  if (warn)
    return { outcome: 'warn', reason: `${show(value)} misses ${missed} but meets ${quoted(listed(objective.warn))}` }
  return { outcome: 'fail', reason: `${show(value)} misses ${missed}` }
}

const whyUnclear = (champion: Champion): string =>
  champion.is === 'unusable'
    ? `${champion.why}, so it cannot be compared`
    : "the champion's value gives no number to compare with"

/** Three-valued: AND is false as soon as one part is, OR true as soon as one part is, else an unknown part rules. */
function evaluate(expression: BoundsExpr, value: number, champion: Champion): Held {
  if ('all' in expression) {
    const parts = expression.all.map((part) => evaluate(part, value, champion))
    // An empty list among alternatives must not become one that everything meets.
    if (parts.length === 0) return false
    return parts.includes(false) ? false : parts.includes(undefined) ? undefined : true
  }
  if ('any' in expression) {
    const parts = expression.any.map((part) => evaluate(part, value, champion))
    return parts.includes(true) ? true : parts.includes(undefined) ? undefined : false
  }
  return result(expression, 'pass', value, champion).held
}

/** The expression without its champion bounds; undefined when nothing is left. */
function fixedPart(expression: BoundsExpr): BoundsExpr | undefined {
  if ('all' in expression) {
    const all = expression.all.map(fixedPart).filter((part) => part !== undefined)
    return all.length > 0 ? { all } : undefined
  }
  if ('any' in expression) {
    const any = expression.any.map(fixedPart).filter((part) => part !== undefined)
    return any.length > 0 ? { any } : undefined
  }
  return isRelative(expression) ? undefined : expression
}

function result(bound: Bound, level: 'pass' | 'warn', value: number | undefined, champion: Champion): BoundResult {
  const target = targetOf(bound, champion.is === 'there' ? champion.value : undefined)
  // An infinite champion can leave no number, as in ∞ − 10 % of ∞.
  if (Number.isNaN(target)) return { text: bound.text, level, target: undefined, held: undefined }
  return { text: bound.text, level, target, held: value !== undefined && compares(value, bound.comparator, target) }
}

const none: BoundsExpr = { all: [] }
const listed = (expression: BoundsExpr | undefined): Bound[] => boundsIn(expression ?? none)

/** Metrics have any name, `constructor` too, so only a record's own entries count. */
const at = <T>(record: Readonly<Record<string, T>> | undefined, metric: string): T | undefined =>
  record && Object.hasOwn(record, metric) ? record[metric] : undefined

/** Added in the order of size, so that permuted objectives give the same last bit. */
function sum(numbers: number[]): number {
  let total = 0
  for (const number of numbers.toSorted((a, b) => a - b)) total += number
  return total
}

const names = (objectives: ObjectiveVerdict[]): string => objectives.map((one) => one.metric).join(', ')
const quoted = (bounds: Bound[]): string => bounds.map((bound) => `"${bound.text}"`).join(', ')
const percent = (share: number): string => `${Number((share * 100).toFixed(2))}%`
/** Six digits are more than a metric knows of itself; the whole value stands beside the reason. */
const show = (value: number): string =>
  Number.isFinite(value) ? String(Number(value.toPrecision(6))) : `${value} (not a finite number)`
