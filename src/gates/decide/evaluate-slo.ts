import type {
  PreviousEvaluation,
  SliValue,
  SliValues,
  Slo,
  SloCriteria,
  SloMode,
  SloObjective,
  SloObjectiveReport,
  SloReport,
  SloTarget,
} from '../keptn-slo.ts'
import {
  aggregate,
  aggregates,
  type KeptnCriterion,
  meets,
  parseGoFloat,
  parseKeptnCriterion,
  relativeTarget,
} from './keptn-criterion.ts'

/** One objective with what Keptn's own event carries beside the report. */
export type SloObjectiveResult = SloObjectiveReport & {
  displayName: string
  key: boolean
  weight: number
  value: number | undefined
  message: string
  /** What was left out for lack of history; mode modelwright only. */
  note?: string
}

type JudgedObjectives = {
  /** undefined: the file has none. */
  objectives: SloObjectiveResult[] | undefined
  maxScore: number
  /** The first key objective that failed, by its display name. */
  keyFailed: string | undefined
  message: string
}

/**
 * Evaluates a Keptn SLO file. Pure; never throws. `previous` goes from the newest to the oldest, unfiltered.
 *
 * Mode `keptn` gives what Keptn 1.x's lighthouse-service gives (source: keptn/keptn, evaluate_sli_handler.go); the
 * keptn cases in test/fixtures/gates are its results. Mode `modelwright` differs in three things, on purpose:
 * - Without history, comparing criteria are left out instead of passing in silence, and the fixed ones decide. An
 *   objective that has none left is `inconclusive` and carries no points; a key objective of that kind, or a file in
 *   which nothing else is judged, makes the result `inconclusive`.
 * - A percentage of a negative earlier value is of its magnitude (+10 % of −10 is −9).
 * - An aggregate other than avg, p50, p90, p95 is an error instead of 0.
 */
export function evaluateSlo(
  slo: Slo,
  values: SliValues,
  previous: readonly PreviousEvaluation[],
  options: { mode: SloMode },
): SloReport {
  const judged = evaluateObjectives(slo, values, previous, options)
  if ('error' in judged) return { error: judged.error, max_score: judged.maxScore, result: 'fail' }

  const atBest = withUndecidedPassed(judged)
  const best = scoreObjectives(atBest, slo.totalScore)
  if ('error' in best) return { error: best.error, max_score: atBest.maxScore }
  const scored = scoreObjectives(judged, slo.totalScore)
  if ('error' in scored) return { error: scored.error, max_score: judged.maxScore }
  // When even that is a fail, no person needs to be asked.
  const blocked = best.result === 'fail' ? undefined : withoutHistory(judged.objectives ?? [])
  const notes = (judged.objectives ?? []).flatMap((one) => one.note ?? [])
  const reasons = blocked === undefined ? notes : [blocked, ...notes]
  return {
    key_sli_failed: judged.keyFailed !== undefined,
    max_score: judged.maxScore,
    objectives: judged.objectives?.map(report) ?? null,
    result: blocked === undefined ? scored.result : 'inconclusive',
    score: blocked !== undefined && judged.maxScore === 0 ? 0 : scored.score,
    ...(reasons.length > 0 ? { reasons } : {}),
  }
}

/** Keptn's evaluateObjectives: every objective on its own, before the score. */
export function evaluateObjectives(
  slo: Slo,
  values: SliValues,
  previous: readonly PreviousEvaluation[],
  options: { mode: SloMode },
): JudgedObjectives | { error: string; maxScore: number } {
  if (options.mode === 'modelwright' && !(aggregates as readonly string[]).includes(slo.comparison.aggregate)) {
    const found = JSON.stringify(slo.comparison.aggregate)
    return { error: `unknown aggregate_function ${found}; allowed are ${aggregates.join(', ')}`, maxScore: 100 }
  }
  if (slo.objectives.length === 0) return { objectives: undefined, maxScore: 100, keyFailed: undefined, message: '' }

  const compared = comparedEvaluations(slo, previous)
  const left = new Map(values)
  const objectives: SloObjectiveResult[] = []
  for (const objective of slo.objectives) {
    const measured = left.get(objective.sli) ?? { value: undefined, message: 'no value received from SLI provider' }
    // Keptn takes a value out of its list once it is used: a second objective on the same SLI has none, and fails.
    left.delete(objective.sli)
    const result = evaluateObjective({
      objective,
      measured,
      history: historyOf(objective.sli, compared, slo),
      mode: options.mode,
    })
    if ('error' in result) return { error: `error with ${objective.sli}: ${result.error}`, maxScore: 100 }
    objectives.push(result)
  }

  let maxScore = 0
  for (const one of objectives) if (isJudged(one)) maxScore += one.weight
  const keyFailed = objectives.find((one) => one.key && one.status === 'fail')
  return {
    objectives,
    maxScore,
    keyFailed: keyFailed && (keyFailed.displayName || keyFailed.sli),
    message: additional([...left.keys()]),
  }
}

/** Keptn's calculateScore. `objectives` undefined: the file has none, which fails. */
export function scoreObjectives(
  judged: {
    objectives: readonly Pick<SloObjectiveReport, 'score' | 'pass_targets'>[] | undefined
    maxScore: number
    keyFailed: string | undefined
    keyMessage?: string
  },
  totalScore: Slo['totalScore'],
): { result: 'pass' | 'warning' | 'fail'; score: number; message: string } | { error: string } {
  if (judged.maxScore === 0) return { result: 'pass', score: 100, message: '' }
  const limits = scoreLimits(totalScore)
  if ('error' in limits) return limits

  let points = 0
  // Objectives without pass criteria inform, and earn nothing.
  for (const one of judged.objectives ?? []) if (one.pass_targets !== null) points += one.score
  // Multiplied last, as Keptn does, for the same last bit.
  const score = 100 * (points / judged.maxScore)
  if (judged.objectives === undefined) return { result: 'fail', score, message: '' }
  if (judged.keyFailed !== undefined) {
    const why = judged.keyMessage ? `: ${judged.keyMessage}` : ''
    return { result: 'fail', score, message: `Evaluation failed due to key_sli objective '${judged.keyFailed}'${why}` }
  }
  if (score >= limits.pass) return { result: 'pass', score, message: '' }
  const failed = 'Evaluation failed since the calculated score of'
  if (limits.warning === undefined) {
    return { result: 'fail', score, message: `${failed} ${score} is below the target value of ${limits.pass}` }
  }
  if (score < limits.warning) {
    return { result: 'fail', score, message: `${failed} ${score} is below the warning value of ${limits.warning}` }
  }
  const message = `Evaluation returned a warning: the calculated score of ${score} is close to the warning target value of ${limits.warning}`
  return { result: 'warning', score, message }
}

function scoreLimits(written: Slo['totalScore']): { pass: number; warning: number | undefined } | { error: string } {
  if (!written?.pass) return { error: 'no target score defined' }
  const pass = parseGoFloat(written.pass.replace(/%$/, ''))
  if (pass === undefined) return { error: 'could not parse pass target percentage' }
  if (!written.warning) return { pass, warning: undefined }
  const warning = parseGoFloat(written.warning.replace(/%$/, ''))
  return warning === undefined ? { error: 'could not parse warning target percentage' } : { pass, warning }
}

/** The newest N whose overall result counts; a value missing in one of them is not replaced by an older one. */
function comparedEvaluations(slo: Slo, previous: readonly PreviousEvaluation[]): PreviousEvaluation[] {
  const include = slo.comparison.include.toLowerCase()
  const counts = (result: string): boolean => {
    if (include === 'pass') return result === 'pass'
    if (include === 'pass_or_warn') return result === 'pass' || result === 'warning'
    return true
  }
  return previous.filter((one) => counts(one.result)).slice(0, slo.comparison.results)
}

/** The aggregate of the values that were measured; undefined: there is no history. */
function historyOf(sli: string, compared: readonly PreviousEvaluation[], slo: Slo): number | undefined {
  const values = compared.flatMap((one) => one.values.get(sli)?.value ?? [])
  return values.length === 0 ? undefined : aggregate(values, slo.comparison.aggregate)
}

type Question = { objective: SloObjective; measured: SliValue; history: number | undefined; mode: SloMode }

function evaluateObjective(question: Question): SloObjectiveResult | { error: string } {
  const { objective, measured, history, mode } = question
  const pass = evaluateAlternatives(objective.pass, question)
  if ('error' in pass) return pass
  const warning = evaluateAlternatives(objective.warning, question)
  if ('error' in warning) return warning

  const status = statusOf(objective, pass, warning)
  const hasCriteria = pass.targets.length + warning.targets.length > 0
  const leftOut = [...pass.leftOut, ...warning.leftOut]
  return {
    sli: objective.sli,
    displayName: objective.displayName,
    key: objective.key,
    weight: objective.weight,
    value: measured.value,
    message: measured.message ?? '',
    status,
    score: status === 'pass' ? objective.weight : status === 'warning' ? objective.weight * 0.5 : 0,
    compared: hasCriteria && measured.value !== undefined ? (history ?? 0) : 0,
    pass_targets: objective.pass ? pass.targets : null,
    warning_targets: objective.warning ? warning.targets : null,
    ...(mode === 'modelwright' && leftOut.length > 0
      ? {
          note: `${objective.sli}: there is no earlier value, so ${leftOut.map((one) => `"${one}"`).join(', ')} was left out`,
        }
      : {}),
  }
}

/** met undefined: every criterion was left out, so nothing can be said. */
type Alternatives = { met: boolean | undefined; targets: SloTarget[]; leftOut: string[] }

function statusOf(objective: SloObjective, pass: Alternatives, warning: Alternatives): SloObjectiveReport['status'] {
  if (!objective.pass) return 'info'
  if (pass.met) return 'pass'
  if (objective.warning && warning.met) return 'warning'
  const nothingFixed = pass.met === undefined && (!objective.warning || warning.met === undefined)
  return nothingFixed ? 'inconclusive' : 'fail'
}

/** All alternatives are looked at even when one is met: the report shows every target. */
function evaluateAlternatives(criteria: SloCriteria, question: Question): Alternatives | { error: string } {
  const targets: SloTarget[] = []
  const leftOut: string[] = []
  const decided: boolean[] = []
  for (const list of criteria ?? []) {
    const met: boolean[] = []
    for (const text of list) {
      const criterion = parseKeptnCriterion(text)
      if ('error' in criterion) return criterion
      const { met: one, target } = evaluateCriterion(criterion, question)
      targets.push({
        criteria: text,
        target,
        violated: one === false,
        ...(one === undefined ? { left_out: true } : {}),
      })
      if (one === undefined) leftOut.push(text)
      else met.push(one)
    }
    if (met.length > 0 || list.length === 0) decided.push(meetsAll(met, question))
  }
  const met = decided.length === 0 && leftOut.length > 0 ? undefined : decided.includes(true)
  return { met, targets, leftOut }
}

/** An alternative without criteria is met in Keptn even by a value that is not there; ours is not. */
const meetsAll = (met: boolean[], { measured, mode }: Question): boolean =>
  (mode === 'keptn' || measured.value !== undefined) && !met.includes(false)

/** met undefined: left out, because it compares and there is nothing to compare with (mode modelwright). */
function evaluateCriterion(
  criterion: KeptnCriterion,
  question: Question,
): { met: boolean | undefined; target: number } {
  const { history, mode } = question
  const { value } = question.measured
  // A missing value fails every criterion; Keptn then shows the aggregate itself as the target of a comparison.
  if (value === undefined) return { met: false, target: criterion.relative ? (history ?? 0) : criterion.value }
  if (!criterion.relative) return { met: meets(value, criterion.operator, criterion.value), target: criterion.value }
  if (history === undefined) return { met: mode === 'keptn' ? true : undefined, target: 0 }
  const target = relativeTarget(criterion, history, mode === 'modelwright')
  return { met: meets(value, criterion.operator, target), target }
}

/** What could still come of it: undecided objectives counted as passed. */
function withUndecidedPassed(judged: JudgedObjectives): JudgedObjectives {
  const undecided = judged.objectives?.filter((one) => one.status === 'inconclusive') ?? []
  let { maxScore } = judged
  for (const one of undecided) maxScore += one.weight
  const objectives = judged.objectives?.map((one) => (undecided.includes(one) ? { ...one, score: one.weight } : one))
  return { ...judged, objectives, maxScore }
}

const isJudged = ({ status }: SloObjectiveReport): boolean => status !== 'info' && status !== 'inconclusive'

/** Why the fixed criteria may not decide alone; undefined where they may. */
function withoutHistory(objectives: readonly SloObjectiveResult[]): string | undefined {
  const undecided = objectives.filter((one) => one.status === 'inconclusive')
  if (undecided.length === 0) return undefined
  const key = undecided.find((one) => one.key)
  if (key) return `there is no earlier value to compare the key objective ${key.sli} with; a person decides`
  return objectives.some(isJudged)
    ? undefined
    : 'every criterion compares with an earlier value, and there is none; a person decides'
}

const report = ({
  sli,
  status,
  score,
  compared,
  pass_targets,
  warning_targets,
}: SloObjectiveResult): SloObjectiveReport => ({
  sli,
  status,
  score,
  compared,
  pass_targets,
  warning_targets,
})

const additional = (slis: string[]): string =>
  slis.length === 0
    ? ''
    : `Lighthouse received additional SLIs, which are not specified as SLO: ${slis.join(', ')} . Please consider using them as an SLO.`
