import type { KeyParts } from '../../planning/index.ts'
import type {
  Cause,
  ChangedFile,
  ChangedMetric,
  Comparison,
  MetricValue,
  Predictions,
  ReproductionOutcome,
  StepComparison,
} from '../reproduction.ts'

/** path → digest */
export type Files = Readonly<Record<string, string>>

/** What one step was made from and gave. A step that was not carried out has no `result`. */
export type StepFacts = {
  step: string
  key?: KeyParts
  result?: {
    /** Every file of every out. */
    files: Files
    metrics: Readonly<Record<string, number>>
    /** `content`: the model without what differs between two savings of it. */
    model?: { name: string; content: string; files: Files }
  }
}

export type ComparisonFacts = {
  /** In the order of the pipeline. */
  recorded: readonly StepFacts[]
  rebuilt: readonly StepFacts[]
  /** Package → version of each lock by its digest; `python` is one of the names. */
  packages: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** How far two numbers may lie apart: |a − b| ≤ tolerance · max(1, |a|, |b|). */
  tolerance: number
  /** By model, where files of it differ and both were asked. */
  predictions?: Readonly<Record<string, Predictions>>
}

/**
 * Step by step: is what was rebuilt what was recorded, and where not, what differed first. The causes of the first difference are
 * those that its own inputs show; none where all of them are the same, which only running it again can explain.
 * Steps after the first that differs differ by consequence, so they are compared but not explained.
 */
export function compareExecutions(facts: ComparisonFacts): Comparison {
  const rebuilt = new Map(facts.rebuilt.map((one) => [one.step, one]))
  const known = new Set(facts.recorded.map(({ step }) => step))
  const missing = (step: string): StepFacts => ({ step })
  const pairs = [
    ...facts.recorded.map((was) => ({ was, is: rebuilt.get(was.step) ?? missing(was.step) })),
    ...facts.rebuilt.filter(({ step }) => !known.has(step)).map((is) => ({ was: missing(is.step), is })),
  ]
  const steps = pairs.map(({ was, is }) => compareSteps(was, is, facts))
  const index = steps.findIndex(({ outcome }) => outcome !== 'identical')
  const pair = pairs[index]
  const results = facts.recorded.flatMap(({ result }) => (result ? [result] : []))
  return {
    outcome: worst(steps.map(({ outcome }) => outcome)),
    steps,
    ...(pair ? { first: { step: pair.was.step, causes: causesOf(pair.was, pair.is, facts) } } : {}),
    compared: {
      steps: steps.length,
      files: sum(results.map(({ files }) => Object.keys(files).length)),
      metrics: sum(results.map(({ metrics }) => countedMetrics(metrics).length)),
      models: results.filter(({ model }) => model).length,
      tolerance: facts.tolerance,
    },
  }
}

/** Whether two passes of one step gave the same: files, metrics, and the model. */
export const sameResult = (a: StepFacts, b: StepFacts): boolean =>
  compareSteps(a, b, { recorded: [], rebuilt: [], packages: {}, tolerance: 0 }).outcome === 'identical'

/** MLflow's `system/…` metrics say how the machine was, not what the step made. */
const countedMetrics = (metrics: Readonly<Record<string, number>>): [string, number][] =>
  Object.entries(metrics).filter(([name]) => !name.startsWith('system/'))

function compareSteps(was: StepFacts, is: StepFacts, facts: ComparisonFacts): StepComparison {
  if (!was.result || !is.result) {
    const both = !was.result && !is.result
    return { step: was.step, outcome: both ? 'identical' : 'different', files: [], metrics: [] }
  }
  const files = changedFiles(was.result.files, is.result.files)
  const metrics = changedMetrics(was.result.metrics, is.result.metrics, facts.tolerance)
  const model = compareModels(was.result.model, is.result.model, facts)
  const close = metrics.every(({ within }) => within) && modelIsClose(model)
  // Bytes that differ are excused by what was measured of them, never by the lack of a measure.
  const measured = countedMetrics(was.result.metrics).length > 0 || model !== undefined
  const same = files.length === 0 && metrics.length === 0 && (model?.same ?? true)
  const outcome = same
    ? 'identical'
    : close && (measured || isMeasuredLater(was.step, facts))
      ? 'equal within tolerance'
      : 'different'
  return { step: was.step, outcome, files, metrics, ...(model ? { model } : {}) }
}

/** A step after this one logs metrics or a model, which say whether the difference matters. */
function isMeasuredLater(step: string, { recorded }: ComparisonFacts): boolean {
  const index = recorded.findIndex((one) => one.step === step)
  return recorded
    .slice(index + 1)
    .some(({ result }) => result && (countedMetrics(result.metrics).length > 0 || result.model !== undefined))
}

type Model = NonNullable<NonNullable<StepFacts['result']>['model']>

function compareModels(was: Model | undefined, is: Model | undefined, facts: ComparisonFacts): StepComparison['model'] {
  if (!was && !is) return undefined
  const { name } = (was ?? is)!
  const same = was?.content === is?.content
  const predictions = same ? undefined : facts.predictions?.[name]
  // MLmodel itself holds ids and times: where the content is the same, a difference of its bytes is none.
  const files = same ? [] : changedFiles(was?.files ?? {}, is?.files ?? {})
  return { name, same, files, ...(predictions ? { predictions } : {}) }
}

function modelIsClose(model: StepComparison['model']): boolean {
  if (!model || model.same) return true
  return model.predictions?.compared === true && model.predictions.equal
}

function changedFiles(was: Files, is: Files): ChangedFile[] {
  const paths = [...new Set([...Object.keys(was), ...Object.keys(is)])].sort()
  return paths.flatMap((path): ChangedFile[] => {
    if (was[path] === is[path]) return []
    return [{ path, change: was[path] === undefined ? 'added' : is[path] === undefined ? 'removed' : 'changed' }]
  })
}

function changedMetrics(
  was: Readonly<Record<string, number>>,
  is: Readonly<Record<string, number>>,
  tolerance: number,
): ChangedMetric[] {
  const [left, right] = [Object.fromEntries(countedMetrics(was)), Object.fromEntries(countedMetrics(is))]
  const names = [...new Set([...Object.keys(left), ...Object.keys(right)])].sort()
  return names.flatMap((name) => {
    const [a, b] = [left[name], right[name]]
    if (a !== undefined && b !== undefined && Object.is(a, b)) return []
    return [
      {
        name,
        ...(a === undefined ? {} : { was: metricValue(a) }),
        ...(b === undefined ? {} : { is: metricValue(b) }),
        within: a !== undefined && b !== undefined && areClose(a, b, tolerance),
      },
    ]
  })
}

const metricValue = (value: number): MetricValue => (Number.isNaN(value) ? 'NaN' : value)

/** @param tolerance at least 0; NaN is close to NaN only. */
export const areClose = (a: number, b: number, tolerance: number): boolean =>
  a === b ||
  (Number.isNaN(a) && Number.isNaN(b)) ||
  Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(a), Math.abs(b))

/** What a step was made from that is not made by another step of the same pass: those are compared where they are made. */
function causesOf(was: StepFacts, is: StepFacts, facts: ComparisonFacts): Cause[] {
  if (!was.result || !is.result) {
    const [has, lacks] = was.result ? ['recorded', 'rebuilt'] : ['rebuilt', 'recorded']
    return [{ kind: 'step', text: `it was carried out in the ${has} pass and not in the ${lacks} one` }]
  }
  if (!was.key || !is.key) return []
  const [a, b] = [was.key, is.key]
  const made = new Set([...a.trees, ...b.trees])
  const isGiven = ([path]: [string, string]) => !made.has(path) && !path.startsWith('model:')
  const given = (key: KeyParts) => Object.fromEntries(Object.entries(key.files).filter(isGiven))
  const params = changedEntries(a.params, b.params).map(
    ({ name, ...sides }): Cause => ({ kind: 'parameter', name, ...sides }),
  )
  return [
    ...changedEntries(given(a), given(b)).map(({ name, ...sides }): Cause => ({ kind: 'input', path: name, ...sides })),
    ...packageCauses(a, b, facts),
    ...params,
    ...(a.seed === b.seed ? [] : [{ kind: 'seed', was: a.seed, is: b.seed } as const]),
    ...changedEntries(a.variables, b.variables).map(({ name }): Cause => ({ kind: 'variable', name })),
    // A command that differs only by its parameters' values is told of by the parameters.
    ...(a.command === b.command || params.length > 0
      ? []
      : [{ kind: 'command', was: a.command, is: b.command } as const]),
  ]
}

function packageCauses(a: KeyParts, b: KeyParts, { packages }: ComparisonFacts): Cause[] {
  if (a.environment === b.environment) return []
  const changed = changedEntries(packages[a.environment] ?? {}, packages[b.environment] ?? {})
  if (changed.length > 0) return changed.map(({ name, ...sides }) => ({ kind: 'package', name, ...sides }))
  return [{ kind: 'package', name: 'the environment', was: a.environment, is: b.environment }]
}

type Changed<T> = { name: string; was?: T; is?: T }

function changedEntries<T>(a: Readonly<Record<string, T>>, b: Readonly<Record<string, T>>): Changed<T>[] {
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort()
  return names.flatMap((name) => {
    const [was, is] = [a[name], b[name]]
    if (was === is) return []
    return [{ name, ...(was === undefined ? {} : { was }), ...(is === undefined ? {} : { is }) }]
  })
}

const rank: Record<ReproductionOutcome, number> = { identical: 0, 'equal within tolerance': 1, different: 2 }

const worst = (outcomes: readonly ReproductionOutcome[]): ReproductionOutcome =>
  outcomes.reduce<ReproductionOutcome>((a, b) => (rank[b] > rank[a] ? b : a), 'identical')

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)
