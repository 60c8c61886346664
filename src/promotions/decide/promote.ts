import type { GateOutcome } from '../../gates/index.ts'
import { type Digest, shortDigest } from '../../kernel/digest.ts'
import type { PromoteRule } from '../../projects/index.ts'
import type { PromotionState } from '../promotion.ts'

/** Changes when the same facts could get another decision. */
export const promoteRuleVersion = 'promote/1'

/** Whether what an execution made may go to an environment at all. A snapshot of a working tree never may. */
export type Standing = { deployable: true } | { deployable: false; snapshot: boolean; reason: string }

export type PromotionFacts = {
  verdict: GateOutcome
  standing: Standing
  candidate: { model: string; version: number; digest: Digest }
  environments: EnvironmentFacts[]
}

export type EnvironmentFacts = {
  environment: string
  rule: PromoteRule
  /** What the environment declares now; undefined: nothing yet. */
  desired: { model: string; digest?: Digest } | undefined
  /** The last promotion of this very version to this environment. */
  earlier: { id: string; state: PromotionState } | undefined
  /** A bar that nobody lifted. */
  barred: { reason: string } | undefined
}

export type PromotionDecision = {
  environment: string
  outcome: 'commit to branch' | 'propose' | 'wait for approval' | 'nothing'
  /** The role whose approval is needed. */
  approver?: string
  reasons: string[]
}

/**
 * A judged candidate and what each environment's rule and history say → what happens there. Pure; one decision per environment,
 * in the order given. A version goes by itself once: whatever happened to it before, from then on a person moves it.
 * Source: DESIGN.md, "So that the loop does not chase its tail".
 */
export function decidePromotions(facts: PromotionFacts): PromotionDecision[] {
  return facts.environments.map((place) => ({ environment: place.environment, ...decideOne(facts, place) }))
}

/** Whether a judged candidate becomes a model version. An inconclusive one only where a person may still want it. */
export function becomesVersion(verdict: GateOutcome, standing: Standing): boolean {
  if (!standing.deployable && standing.snapshot) return false
  if (verdict === 'inconclusive') return standing.deployable
  return verdict === 'pass' || verdict === 'warn'
}

type Outcome = Omit<PromotionDecision, 'environment'>

const nothing = (reason: string): Outcome => ({ outcome: 'nothing', reasons: [reason] })

function decideOne(facts: PromotionFacts, place: EnvironmentFacts): Outcome {
  const { candidate, verdict, standing } = facts
  const name = `${candidate.model} version ${candidate.version}`
  if (verdict === 'fail') return nothing(`the gate refused ${candidate.model}`)
  if (!standing.deployable) return nothing(standing.reason)
  if (place.desired && place.desired.model !== candidate.model)
    return nothing(`${place.environment} declares the model ${place.desired.model}, not ${candidate.model}`)
  if (place.desired?.digest === candidate.digest)
    return nothing(
      `${place.environment} already declares ${name} (${shortDigest(candidate.digest)}): equal content, nothing to change`,
    )
  const done = doneBefore(place, name)
  if (done) return done
  return personNeeded(facts, place, name) ?? byRule(place, [`the gate passed ${name}`])
}

function doneBefore({ earlier, barred }: EnvironmentFacts, name: string): Outcome | undefined {
  if (earlier?.state === 'rejected') return nothing(`${name} was rejected (promotion ${earlier.id})`)
  if (earlier && ['intended', 'proposed', 'approved'].includes(earlier.state))
    return nothing(`${name} is already on its way (promotion ${earlier.id}, ${earlier.state})`)
  if (barred && earlier?.state === 'barred')
    return nothing(`${name} is barred: ${barred.reason}; approving promotion ${earlier.id} lifts that`)
  return undefined
}

/** Where the rule alone must not decide. */
function personNeeded({ verdict }: PromotionFacts, place: EnvironmentFacts, name: string): Outcome | undefined {
  const approver = approverOf(place.rule)
  const wait = (reason: string): Outcome => ({ outcome: 'wait for approval', ...approver, reasons: [reason] })
  if (verdict === 'inconclusive') return wait(`the gate could not judge ${name}: a person decides`)
  if (place.barred) return wait(`${name} is barred until a person approves it: ${place.barred.reason}`)
  if (approver) return undefined
  const propose = (reason: string): Outcome => ({ outcome: 'propose', reasons: [reason] })
  if (verdict === 'warn') return propose(`the gate passed ${name} with a warning, so a person decides`)
  // A blocked promotion never reached the branch: its version has its one automatic promotion still to come.
  if (place.earlier && place.earlier.state !== 'blocked')
    return propose(`${name} was promoted before (promotion ${place.earlier.id}); a second time is for a person`)
  return undefined
}

function byRule({ environment, rule }: EnvironmentFacts, reasons: string[]): Outcome {
  if (rule === 'automatic') return { outcome: 'commit to branch', reasons: [...reasons, `${environment}: automatic`] }
  if (rule === 'pull-request') return { outcome: 'propose', reasons: [...reasons, `${environment}: pull-request`] }
  return {
    outcome: 'wait for approval',
    ...approverOf(rule),
    reasons: [...reasons, `${environment}: approval by ${rule.approval}`],
  }
}

const approverOf = (rule: PromoteRule): { approver: string } | undefined =>
  typeof rule === 'object' ? { approver: rule.approval } : undefined
