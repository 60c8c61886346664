import type { Alert, Execution, Promotion, Records, RolloutRecord, Verdict } from './records.ts'
import { commits, type StageName, shiftedFeature } from './story.ts'

/** One sentence that must be true of the server's records, and what was found. */
export type Check = { what: string; ok: boolean; found: string }

/**
 * Whether a stage really happened, by the records alone: nothing that the demo remembers counts. A second start asks the same,
 * and so knows what is done.
 * @param records undefined where nothing was pushed
 * @param labelled how many coarse biopsies get their diagnosis
 */
export function storyChecks(stage: StageName, records: Records | undefined, labelled: number): Check[] {
  if (!records) return [check('the project was pushed', false, 'the server has no commit of it')]
  switch (stage) {
    case 'first':
      return firstChecks(records)
    case 'refused':
      return refusedChecks(records)
    case 'canary':
      return canaryChecks(records)
    case 'drift':
      return driftChecks(records)
    case 'retrained':
      return retrainedChecks(records, labelled)
    case 'why':
      return whyChecks(records)
  }
}

const check = (what: string, ok: boolean, found: string | undefined): Check => ({ what, ok, found: found || 'nothing' })

/** The push's execution that went furthest, if there were several. */
function executionOf(records: Records, subject: string): Execution | undefined {
  const all = records.executions.filter((one) => one.subject === subject && one.trigger.kind === 'push')
  return all.find(({ state }) => state === 'succeeded') ?? all[0]
}

const verdictOf = (records: Records, execution: Execution | undefined): Verdict | undefined =>
  records.verdicts.find((one) => execution !== undefined && one.executionId === execution.id)

const promotionOf = (records: Records, execution: Execution | undefined): Promotion | undefined =>
  records.promotions.find((one) => execution !== undefined && one.executionId === execution.id)

const rolloutOf = (records: Records, promotion: Promotion | undefined): RolloutRecord | undefined =>
  records.deployment.rollouts.find(
    (one) => promotion !== undefined && one.newcomer.digest === promotion.digest && one.state === 'done',
  )

export const driftAlertOf = (records: Pick<Records, 'alerts'>, digest: string | undefined): Alert | undefined =>
  records.alerts.find((one) => one.kind === 'drift' && one.digest === digest && one.features.includes(shiftedFeature))

function executed(execution: Execution | undefined, what: string): Check {
  return check(
    `the pipeline ran for "${what}"`,
    execution?.state === 'succeeded',
    execution && `${execution.id} ${execution.state}`,
  )
}

function judged(verdict: Verdict | undefined, outcome: Verdict['outcome']): Check {
  const told =
    verdict && `${verdict.outcome}: ${verdict.objectives.map((one) => `${one.metric} ${one.value}`).join(', ')}`
  return check(`the gate's verdict is ${outcome}`, verdict?.outcome === outcome, told)
}

function promoted(promotion: Promotion | undefined): Check {
  const ok = promotion?.commit !== undefined && ['committed', 'merged', 'superseded'].includes(promotion.state)
  return check(
    'Modelwright committed the promotion',
    ok,
    promotion && `version ${promotion.version} ${promotion.state} in ${promotion.commit?.slice(0, 10)}`,
  )
}

function rolledOut(rollout: RolloutRecord | undefined): Check {
  return check(
    'the rollout is done',
    rollout !== undefined,
    rollout && `version ${rollout.newcomer.version}, ${rollout.decisions.length} decisions`,
  )
}

function answered(records: Records, promotion: Promotion | undefined): Check {
  const one = records.answered.find(({ record }) => record !== undefined && record.digest === promotion?.digest)
  const leads = one !== undefined && one.version?.digest === promotion?.digest && one.record?.outcome === 'answered'
  return check(
    'it answered, and the prediction id leads back to it',
    leads,
    one && `${one.id} → version ${one.version?.version}`,
  )
}

/** The champion evaluated anew on the candidate's rows, and a bound that was compared with it. */
function comparedWithChampion(execution: Execution | undefined, verdict: Verdict | undefined): Check {
  const anew = execution?.nodes.find(
    ({ kind, state }) => kind === 'champion evaluation' && (state === 'succeeded' || state === 'reused'),
  )
  const auc = verdict?.objectives.find(({ metric }) => metric === 'evaluate.auc')
  const ok = anew !== undefined && typeof auc?.champion === 'number'
  return check(
    'the champion was evaluated anew on the same rows',
    ok,
    `champion ${auc?.champion}, candidate ${auc?.value}`,
  )
}

function wentByCanary(rollout: RolloutRecord | undefined): Check {
  const ok =
    rollout !== undefined &&
    rollout.straight === undefined &&
    rollout.canary.length > 1 &&
    rollout.decisions.length >= rollout.canary.length
  return check(
    'it went out step by step, each decided and recorded',
    ok,
    rollout &&
      `${rollout.canary.map((share) => `${share * 100} %`).join(' → ')}: ${rollout.decisions.map(({ outcome }) => outcome).join(', ')}`,
  )
}

function firstChecks(records: Records): Check[] {
  const execution = executionOf(records, commits.first.subject)
  const promotion = promotionOf(records, execution)
  return [
    executed(execution, commits.first.subject),
    judged(verdictOf(records, execution), 'pass'),
    promoted(promotion),
    rolledOut(rolloutOf(records, promotion)),
    answered(records, promotion),
  ]
}

function refusedChecks(records: Records): Check[] {
  const execution = executionOf(records, commits.refused.subject)
  const prepare = execution?.nodes.find(({ step, kind }) => step === 'prepare' && kind === 'step')
  const promotion = promotionOf(records, execution)
  return [
    executed(execution, commits.refused.subject),
    check('what had not changed was reused', prepare?.state === 'reused', prepare && `prepare: ${prepare.state}`),
    judged(verdictOf(records, execution), 'fail'),
    {
      what: 'nothing was promoted',
      ok: execution !== undefined && promotion === undefined,
      found: promotion ? `promotion ${promotion.id}` : 'none',
    },
  ]
}

function canaryChecks(records: Records): Check[] {
  const execution = executionOf(records, commits.canary.subject)
  const verdict = verdictOf(records, execution)
  const promotion = promotionOf(records, execution)
  const rollout = rolloutOf(records, promotion)
  return [
    executed(execution, commits.canary.subject),
    judged(verdict, 'pass'),
    comparedWithChampion(execution, verdict),
    promoted(promotion),
    rolledOut(rollout),
    wentByCanary(rollout),
    answered(records, promotion),
  ]
}

function driftChecks(records: Records): Check[] {
  const promotion = promotionOf(records, executionOf(records, commits.canary.subject))
  const alert = records.alerts.find(({ kind, digest }) => kind === 'drift' && digest === promotion?.digest)
  // The alert says what the latest look saw; what asked for the retraining keeps what the first one saw.
  const asked = records.retrainings.find(({ trigger }) => trigger.alert === alert?.id)?.trigger.features
  const features = [...new Set([...(alert?.features ?? []), ...(Array.isArray(asked) ? asked.map(String) : [])])]
  return [
    check('an alert says drift, of the version that served', alert !== undefined, alert && `version ${alert.version}`),
    check(`it names features, ${shiftedFeature} among them`, features.includes(shiftedFeature), features.join(', ')),
  ]
}

const retrainedExecution = (records: Records): Execution | undefined => {
  const started = records.retrainings.filter(
    ({ trigger, executionId }) => trigger.kind === 'drift' && executionId !== undefined,
  )
  const candidates = started.flatMap((one) => records.executions.filter(({ id }) => id === one.executionId))
  return candidates.find((one) => promotionOf(records, one) !== undefined) ?? candidates[0]
}

function retrainedChecks(records: Records, labelled: number): Check[] {
  const execution = retrainedExecution(records)
  const retraining = records.retrainings.find(
    ({ executionId }) => executionId !== undefined && executionId === execution?.id,
  )
  const verdict = verdictOf(records, execution)
  const promotion = promotionOf(records, execution)
  const rollout = rolloutOf(records, promotion)
  const labels = records.labels.reduce((sum, one) => sum + one.labels, 0)
  const frozen = retraining?.frozen?.find(({ dataset }) => dataset === 'biopsies')
  return [
    check(`${labelled} labels arrived by prediction id`, labels >= labelled, `${labels}`),
    check(
      'drift started a retraining',
      execution?.trigger.kind === 'drift',
      execution && `${execution.id} ${execution.state}`,
    ),
    check(
      'with the labelled rows, frozen as a dataset',
      frozen !== undefined && frozen.rows >= labelled,
      frozen && `${frozen.rows} rows, ${frozen.digest.slice(0, 19)}`,
    ),
    judged(verdict, 'pass'),
    comparedWithChampion(execution, verdict),
    promoted(promotion),
    rolledOut(rollout),
    wentByCanary(rollout),
    answered(records, promotion),
  ]
}

function whyChecks(records: Records): Check[] {
  const { why } = records
  const promotion = promotionOf(records, retrainedExecution(records))
  const data = why.version?.data.flatMap((one) => [one, ...one.parts]) ?? []
  return [
    check(
      'the retrained version serves',
      why.deployment.serving !== undefined && why.deployment.serving.digest === promotion?.digest,
      why.deployment.serving && `version ${why.deployment.serving.version}`,
    ),
    check('why leads to its run', why.version?.run !== undefined, why.version?.run?.id),
    check('… to its commit', why.version?.commit !== undefined, why.version?.commit?.id.slice(0, 10)),
    check(
      '… to the labelled rows among its data',
      data.some(({ origin }) => origin === 'labelled predictions'),
      data.map(({ text }) => text).join('; '),
    ),
    check('… to the verdict', why.version?.verdict?.outcome === 'pass', why.version?.verdict?.id),
    check(
      '… to the promotion',
      why.promotion !== undefined && why.promotion.digest === promotion?.digest,
      why.promotion?.commit?.slice(0, 10),
    ),
    check('… to the rollout', why.rollout?.state === 'done', why.rollout?.id),
  ]
}
