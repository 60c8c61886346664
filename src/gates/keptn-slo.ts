/** Keptn's SLO file (spec 0.1.x `slo.yaml`), after its defaults are filled in. */
export type Slo = {
  comparison: SloComparison
  objectives: SloObjective[]
  totalScore: { pass: string; warning: string } | undefined
}

export type SloComparison = {
  /** How many of the newest results count that `include` lets in. */
  results: number
  /** all, pass or pass_or_warn; Keptn reads anything else as all. */
  include: string
  /** avg, p50, p90 or p95; with anything else Keptn aggregates to 0. */
  aggregate: string
}

/** Criteria inside one inner list are ANDed, the inner lists ORed; undefined where the file has none. */
export type SloCriteria = string[][] | undefined

export type SloObjective = {
  sli: string
  displayName: string
  pass: SloCriteria
  warning: SloCriteria
  weight: number
  key: boolean
}

/** undefined: the provider could not measure it; a message may say why. */
export type SliValue = { value: number | undefined; message?: string }
export type SliValues = ReadonlyMap<string, SliValue>

/** One earlier evaluation: its overall result and what it measured. Lists of them go from the newest to the oldest. */
export type PreviousEvaluation = { result: string; values: SliValues }

/** keptn: as Keptn's lighthouse-service does it; modelwright: with our differences (see evaluateSlo). */
export type SloMode = 'modelwright' | 'keptn'

export type SloTarget = {
  criteria: string
  target: number
  violated: boolean
  /** Only in mode modelwright: it compares, there is no history, and so it did not count (target 0, not violated). */
  left_out?: true
}

export type SloObjectiveReport = {
  sli: string
  /** inconclusive exists only in mode modelwright: every criterion compares, and there is no history. */
  status: 'pass' | 'warning' | 'fail' | 'info' | 'inconclusive'
  score: number
  /** The aggregate of the earlier values; 0 where there is none, or where the value itself is missing. */
  compared: number
  /** null where the file has no such criteria. */
  pass_targets: SloTarget[] | null
  warning_targets: SloTarget[] | null
}

/** `error`: the file cannot be carried out as written; nothing was judged. */
export type SloReport =
  | { error: string; max_score: number; result?: 'fail' }
  | {
      key_sli_failed: boolean
      max_score: number
      objectives: SloObjectiveReport[] | null
      result: 'pass' | 'warning' | 'fail' | 'inconclusive'
      score: number
      /** Only in mode modelwright, and only where it judged otherwise than Keptn: what was left out, and why. */
      reasons?: string[]
    }
