import type { BoundsExpr } from '../kernel/bound.ts'
import type { Share } from '../kernel/units.ts'

/** One thing that a candidate is judged by. Without pass bounds it only informs. */
export type Objective = {
  metric: string
  pass?: BoundsExpr
  warn?: BoundsExpr
  /** ≥ 0; how much of the score it carries. */
  weight: number
  /** A key objective that fails, fails the gate whatever the score. */
  key: boolean
}

export type Gate = {
  objectives: Objective[]
  /** Shares of the achievable score from which the gate passes or warns. */
  total: { pass: Share; warn: Share }
  /** What a gate made only of champion bounds says while there is no champion: a person decides (ask), or it passes. */
  first?: 'ask' | 'allow'
}

type MetricValues = Readonly<Record<string, number | undefined>>

export type GateFacts = {
  candidate: MetricValues
  /** undefined: there is no champion yet. */
  champion: MetricValues | undefined
  /** Why a value is not there, by metric: shown with the verdict. */
  missing?: { candidate?: Readonly<Record<string, string>>; champion?: Readonly<Record<string, string>> }
}

export type GateOutcome = 'pass' | 'warn' | 'fail' | 'inconclusive'
export type ObjectiveOutcome = GateOutcome | 'info'

export type BoundResult = {
  text: string
  level: 'pass' | 'warn'
  /** The number that the value was compared with; undefined where the champion's value is not there. */
  target: number | undefined
  /** undefined where there was nothing to compare. */
  held: boolean | undefined
}

export type ObjectiveVerdict = {
  metric: string
  outcome: ObjectiveOutcome
  value: number | undefined
  champion: number | undefined
  bounds: BoundResult[]
  /** Points earned, 0..weight. */
  score: number
  weight: number
  key: boolean
  reason: string
}

export type GateVerdict = {
  outcome: GateOutcome
  /** 0..100, of the objectives that could be judged. */
  score: number
  objectives: ObjectiveVerdict[]
  reasons: string[]
  /** Changes when the same facts could get another verdict. */
  ruleVersion: string
}
