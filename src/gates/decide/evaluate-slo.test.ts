import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { SloReport } from '../keptn-slo.ts'
import { parseSlo } from '../parse-slo.ts'
import { readPreviousEvaluations, readSliValues } from '../read-sli-values.ts'
import { evaluateObjectives, evaluateSlo, type SloObjectiveResult, scoreObjectives } from './evaluate-slo.ts'

type Case = { name: string; slo_yaml: string; values: object; previous_newest_first: object[]; expected: SloReport }
type Target = { criteria: string; targetValue: number; violated: boolean }
type Indicator = {
  score: number
  value: { metric: string; value: number; comparedValue: number; success: boolean; message?: string }
  passTargets: Target[] | null
  warningTargets: Target[] | null
  keySli: boolean
  status: string
}
type Event = {
  result?: string
  message?: string
  evaluation: { result: string; score: number; indicatorResults: Indicator[] | null }
}
type TableCase = { name: string; slo: object } & (
  | {
      kind: 'evaluateObjectives'
      sli: object
      previous: object | null
      expected: Event
      expectedMax: number
      expectedKeySLI: { Failed: boolean }
    }
  | {
      kind: 'calculateScore'
      in: Event
      max: number
      keySLI: { Failed: boolean; Name: string; Message: string }
      expected: Event
    }
)

const cases: { keptn: Case[]; keptnOwnTable: TableCase[] } = JSON.parse(
  readFileSync(new URL('../../../test/fixtures/gates/cases.json', import.meta.url), 'utf8'),
)

const evaluate = (
  { slo_yaml, values, previous_newest_first }: Omit<Case, 'name' | 'expected'>,
  mode: 'keptn' | 'modelwright',
) =>
  evaluateSlo(
    parseSlo(slo_yaml, 'slo.yaml'),
    readSliValues(JSON.stringify(values), 'values.json'),
    readPreviousEvaluations(JSON.stringify(previous_newest_first), 'previous.json'),
    { mode },
  )

/** Numbers to 1e-9, everything else exactly. */
function rounded(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_, part) =>
    typeof part === 'number' ? Math.round(part * 1e9) / 1e9 : part,
  )
}

describe('mode keptn gives what the engine gives', () => {
  it.each(cases.keptn.map((one) => [one.name, one] as const))('%s', (_, one) => {
    expect(rounded(evaluate(one, 'keptn'))).toEqual(rounded(one.expected))
  })
})

describe("mode keptn agrees with Keptn's own test table", () => {
  it.each(cases.keptnOwnTable.map((one) => [one.name, one] as const))('%s', (_, one) => {
    if (one.kind === 'calculateScore') return agreesOnScore(one)
    const judged = evaluateObjectives(
      parseSlo(JSON.stringify(one.slo), 'slo.json'),
      readSliValues(JSON.stringify(one.sli), 'sli.json'),
      readPreviousEvaluations(JSON.stringify(one.previous), 'previous.json'),
      { mode: 'keptn' },
    )
    if ('error' in judged) throw new Error(judged.error)
    expect(judged.maxScore).toBe(one.expectedMax)
    expect(judged.keyFailed !== undefined).toBe(one.expectedKeySLI.Failed)
    // An SLI that was asked for by nobody is only mentioned when there are objectives at all.
    expect(judged.message).toBe(one.expected.message ?? '')
    expect(rounded(judged.objectives?.map(indicator) ?? null)).toEqual(
      rounded(one.expected.evaluation.indicatorResults?.map(normal) ?? null),
    )
    if (judged.objectives === undefined) {
      expect(scoreObjectives(judged, { pass: '90%', warning: '75%' })).toMatchObject({
        result: one.expected.result,
        score: one.expected.evaluation.score,
      })
    }
  })

  function agreesOnScore(one: Extract<TableCase, { kind: 'calculateScore' }>): void {
    const { totalScore } = parseSlo(JSON.stringify(one.slo), 'slo.json')
    const objectives = one.in.evaluation.indicatorResults!.map(({ score, passTargets }) => ({
      score,
      pass_targets: passTargets ? [] : null,
    }))
    const { Failed, Name, Message } = one.keySLI
    const keyFailed = Failed ? Name : undefined
    expect(scoreObjectives({ objectives, maxScore: one.max, keyFailed, keyMessage: Message }, totalScore)).toEqual({
      result: one.expected.result,
      score: one.expected.evaluation.score,
      message: one.expected.message ?? '',
    })
  }

  function indicator(one: SloObjectiveResult): Omit<Indicator, never> & { displayName: string } {
    const targets = (list: SloObjectiveResult['pass_targets']): Target[] =>
      (list ?? []).map(({ criteria, target, violated }) => ({ criteria, targetValue: target, violated }))
    const value = {
      metric: one.sli,
      value: one.value ?? 0,
      comparedValue: one.compared,
      success: one.value !== undefined,
    }
    return {
      score: one.score,
      value: one.message ? { ...value, message: one.message } : value,
      displayName: one.displayName,
      passTargets: targets(one.pass_targets),
      warningTargets: targets(one.warning_targets),
      keySli: one.key,
      status: one.status,
    }
  }

  /** The table writes "no criteria" now as null, now as []; the report as null. */
  function normal(one: Indicator): Indicator {
    return { ...one, passTargets: one.passTargets ?? [], warningTargets: one.warningTargets ?? [] }
  }
})

describe('mode modelwright', () => {
  /** The deliberate differences, worked out by hand from the rule at evaluateSlo. */
  const differs: Record<string, { result: string; score: number; statuses: string[] }> = {
    // +10 % of −10 is −9, and −10 is below it.
    'negative previous value with +10% (bound moves down: -11)': { result: 'pass', score: 100, statuses: ['pass'] },
    // No history, and only comparing criteria (in 15 and 5 also on a key objective).
    'random 5': { result: 'inconclusive', score: 0, statuses: ['inconclusive'] },
    'random 15': { result: 'inconclusive', score: 0, statuses: ['inconclusive', 'inconclusive'] },
    // No history for some: those that have fixed criteria decide, 1 of 2, 0 of 6, 0 of 1, 2 of 7, 1 of 7, 0 of 5, 1 of 1.
    'random 9': { result: 'warning', score: 50, statuses: ['inconclusive', 'inconclusive', 'warning'] },
    'random 17': { result: 'fail', score: 0, statuses: ['fail', 'fail', 'inconclusive'] },
    'random 21': { result: 'fail', score: 0, statuses: ['fail', 'inconclusive', 'inconclusive', 'inconclusive'] },
    'random 27': { result: 'fail', score: (100 * 2) / 7, statuses: ['fail', 'inconclusive', 'pass'] },
    'random 47': { result: 'fail', score: 0, statuses: ['fail', 'inconclusive'] },
    'random 49': { result: 'pass', score: 100, statuses: ['pass', 'inconclusive'] },
    // A key objective without history: a fail where even its pass would not help (33 % < 50, 69 % < 75), else open.
    'random 33': { result: 'fail', score: 100 / 7, statuses: ['fail', 'fail', 'inconclusive', 'pass'] },
    'random 39': { result: 'fail', score: 50, statuses: ['warning', 'inconclusive', 'inconclusive', 'inconclusive'] },
    'random 59': { result: 'inconclusive', score: 100 / 3, statuses: ['inconclusive', 'pass', 'inconclusive', 'fail'] },
  }
  /** The same verdict, in which the fixed criteria alone decided; it says so. */
  const saysMore = ['no history: absolute part still applies', 'history: warning skipped with pass']

  it.each(Object.entries(differs))('judges otherwise than Keptn: %s', (name, expected) => {
    const one = cases.keptn.find((each) => each.name === name)!
    expect(rounded(verdictOf(evaluate(one, 'modelwright')))).toEqual(rounded(expected))
    expect(rounded(verdictOf(one.expected))).not.toEqual(rounded(expected))
  })

  it.each(saysMore)('gives the same verdict and says what was left out: %s', (name) => {
    const one = cases.keptn.find((each) => each.name === name)!
    const report = evaluate(one, 'modelwright')
    expect(verdictOf(report)).toEqual(verdictOf(one.expected))
    expect(report).toHaveProperty('reasons', ['response_time_p95: there is no earlier value, so "<=+10%" was left out'])
    expect(report).toHaveProperty('objectives.0.pass_targets.0', {
      criteria: '<=+10%',
      target: 0,
      violated: false,
      left_out: true,
    })
  })

  const others = cases.keptn.filter(({ name }) => !(name in differs) && !saysMore.includes(name))
  it.each(others.map((one) => [one.name, one] as const))('gives what Keptn gives: %s', (_, one) => {
    expect(rounded(evaluate(one, 'modelwright'))).toEqual(rounded(one.expected))
  })

  function verdictOf(report: SloReport) {
    if ('error' in report) return report
    return { result: report.result, score: report.score, statuses: report.objectives?.map((one) => one.status) }
  }
})

/** A file with one objective `m`, and the fields that a test cares for. */
function withM(fields: {
  pass?: string[][]
  warning?: string[][]
  comparison?: object
  total?: object
  more?: object
  value?: number | null
  previous?: object[]
}) {
  const list = (criteria: string[][] | undefined) => criteria?.map((one) => ({ criteria: one }))
  const slo = {
    comparison: fields.comparison,
    objectives: [{ sli: 'm', pass: list(fields.pass), warning: list(fields.warning), ...fields.more }],
    total_score: fields.total ?? { pass: '90%', warning: '75%' },
  }
  return {
    slo_yaml: JSON.stringify(slo),
    values: { m: fields.value ?? null },
    previous_newest_first: fields.previous ?? [],
  }
}

const history = (...values: (number | null)[]) => values.map((m) => ({ result: 'pass', values: { m } }))
const statusOf = (report: SloReport) => ('error' in report ? report.error : report.objectives?.[0]?.status)

describe('a criterion', () => {
  it.each([
    ['<10', 9.999, 'pass'],
    ['<10', 10, 'fail'],
    ['<=10', 10, 'pass'],
    ['=10', 10, 'pass'],
    ['=10', 10.0000001, 'fail'],
    ['>=10', 10, 'pass'],
    ['>10', 10, 'fail'],
    [' < = 1 0 ', 10, 'pass'],
    ['<=1e1', 10, 'pass'],
    ['<=.5', 0.5, 'pass'],
    ['<=5.', 5, 'pass'],
    ['<inf', 5, 'pass'],
    ['<=nan', 5, 'fail'],
    // A sign makes it relative: +- takes the second sign as the number's, so −5 % of 100.
    ['<=+-5%', 95, 'pass'],
    ['<=+-5%', 95.1, 'fail'],
    ['<=--5', 105, 'pass'],
    ['==5', 5, 'error with m: could not parse criteria target value'],
    ['<<5', 5, 'error with m: could not parse criteria target value'],
    ['<|5', 5, 'error with m: could not parse criteria target value'],
    ['|5', 5, 'error with m: could not parse criteria target value'],
    ['<=', 5, 'error with m: could not parse criteria target value'],
    ['<=%', 5, 'error with m: could not parse criteria target value'],
    ['<=10%%', 5, 'error with m: could not parse criteria target value'],
    ['<=1e999', 5, 'error with m: could not parse criteria target value'],
    ['<=0b1', 1, 'error with m: could not parse criteria target value'],
    ['5', 5, 'error with m: invalid criteria string'],
    ['\t<=5', 5, 'error with m: invalid criteria string'],
  ])('%j with %d beside 100 gives %s', (criterion, value, expected) => {
    for (const mode of ['keptn', 'modelwright'] as const) {
      expect(statusOf(evaluate(withM({ pass: [[criterion]], value, previous: history(100) }), mode))).toBe(expected)
    }
  })

  it('is reported as unreadable even where the value is missing, or where it stands under warning', () => {
    const error = { error: 'error with m: invalid criteria string', max_score: 100, result: 'fail' }
    expect(evaluate(withM({ pass: [['~1']], value: null }), 'keptn')).toEqual(error)
    expect(evaluate(withM({ warning: [['~1']], value: 1 }), 'keptn')).toEqual(error)
  })
})

describe('the history', () => {
  const comparison = (more: object) => ({
    compare_with: 'several_results',
    number_of_comparison_results: 100,
    include_result_with_score: 'pass',
    ...more,
  })
  const compared = (given: ReturnType<typeof withM>) => {
    const report = evaluate(given, 'keptn')
    return 'error' in report ? undefined : report.objectives?.[0]?.compared
  }

  // 0…10 are the values of Keptn's own percentile test.
  it.each([
    ['avg', 5],
    ['p50', 5],
    ['p90', 9.8],
    ['p95', 10],
    ['max', 0],
  ])('%s of 0…10 is %d', (aggregate_function, expected) => {
    const previous = history(10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
    expect(
      compared(withM({ pass: [['<+1']], value: 1, previous, comparison: comparison({ aggregate_function }) })),
    ).toBeCloseTo(expected, 12)
  })

  it('takes pass and warning, but no fail, with pass_or_warn', () => {
    const previous = [
      { result: 'fail', values: { m: 1000 } },
      { result: 'warning', values: { m: 10 } },
      { result: 'pass', values: { m: 20 } },
    ]
    expect(
      compared(
        withM({
          pass: [['<+1']],
          value: 1,
          previous,
          comparison: comparison({ include_result_with_score: 'pass_or_warn' }),
        }),
      ),
    ).toBe(15)
  })

  it('does not reach further back for a value that was not measured', () => {
    const previous = history(10, null, 40)
    expect(
      compared(
        withM({ pass: [['<+1']], value: 1, previous, comparison: comparison({ number_of_comparison_results: 2 }) }),
      ),
    ).toBe(10)
  })

  it('is three results long where compare_with is left out of the comparison', () => {
    expect(
      compared(
        withM({
          pass: [['<+1']],
          value: 1,
          previous: history(10, 20, 60, 1000),
          comparison: { aggregate_function: 'avg' },
        }),
      ),
    ).toBe(30)
  })
})

describe('scores and weights', () => {
  it('takes weight 0 as not written, which is 1', () => {
    expect(evaluate(withM({ pass: [['<5']], value: 1, more: { weight: 0 } }), 'keptn')).toMatchObject({
      max_score: 1,
      score: 100,
    })
  })

  it.each([
    [{ pass: 90 }, { result: 'pass' }],
    [{ pass: '100.0%' }, { result: 'pass' }],
    [{ pass: '100.5' }, { result: 'fail' }],
    [{ pass: '90 %' }, { error: 'could not parse pass target percentage' }],
    [{ pass: '' }, { error: 'no target score defined' }],
    [{ pass: '90%', warning: '75%%' }, { error: 'could not parse warning target percentage' }],
  ])('total_score %j on a score of 100 gives %j', (total, expected) => {
    expect(evaluate(withM({ pass: [['<5']], value: 1, total }), 'keptn')).toMatchObject(expected)
  })

  it('passes with 100 and without a total_score where every objective only informs', () => {
    expect(evaluate(withM({ value: 1, total: {} }), 'keptn')).toMatchObject({
      result: 'pass',
      score: 100,
      max_score: 0,
    })
  })

  it('has no value left for a second objective on the same SLI', () => {
    const objectives = [1, 2].map(() => ({ sli: 'm', pass: [{ criteria: ['<5'] }] }))
    const slo_yaml = JSON.stringify({ objectives, total_score: { pass: '50%' } })
    const report = evaluate({ slo_yaml, values: { m: 1 }, previous_newest_first: [] }, 'keptn')
    expect(report).toMatchObject({ result: 'pass', score: 50, objectives: [{ status: 'pass' }, { status: 'fail' }] })
  })

  it('lets an alternative without criteria pass a missing value in mode keptn only', () => {
    expect(statusOf(evaluate(withM({ pass: [[]], value: null }), 'keptn'))).toBe('pass')
    expect(statusOf(evaluate(withM({ pass: [[]], value: null }), 'modelwright'))).toBe('fail')
  })
})

describe('our differences', () => {
  it('calls an unknown aggregate an error that names the allowed ones, even without a comparison', () => {
    const given = withM({ pass: [['<5']], value: 1, comparison: { aggregate_function: 'max' } })
    expect(evaluate(given, 'keptn')).toMatchObject({ result: 'pass' })
    expect(evaluate(given, 'modelwright')).toEqual({
      error: 'unknown aggregate_function "max"; allowed are avg, p50, p90, p95',
      max_score: 100,
      result: 'fail',
    })
  })

  it('takes ±10 % of a negative value from its magnitude, and an absolute distance as it stands', () => {
    const target = (criterion: string) => {
      const report = evaluate(withM({ pass: [[criterion]], value: 1, previous: history(-10) }), 'modelwright')
      return 'error' in report ? undefined : report.objectives?.[0]?.pass_targets?.[0]?.target
    }
    expect(target('<=+10%')).toBe(-9)
    expect(target('<=10%')).toBe(-9)
    expect(target('>=-10%')).toBe(-11)
    expect(target('<=+1')).toBe(-9)
    expect(target('>=-1')).toBe(-11)
  })

  it('reports a missing total_score also where nothing could be judged', () => {
    const given = withM({ pass: [['<=+10%']], value: 1, total: {} })
    expect(evaluate(given, 'keptn')).toEqual({ error: 'no target score defined', max_score: 1 })
    expect(evaluate(given, 'modelwright')).toEqual({ error: 'no target score defined', max_score: 1 })
  })

  it('fails a missing value that has no history either, instead of asking a person', () => {
    expect(evaluate(withM({ pass: [['<=+10%']], value: null }), 'modelwright')).toMatchObject({ result: 'fail' })
  })

  it('judges a first value by its warning criteria where only those are fixed', () => {
    const given = (value: number) =>
      withM({ pass: [['<=+10%']], warning: [['<800']], value, total: { pass: '90%', warning: '50%' } })
    expect(evaluate(given(700), 'modelwright')).toMatchObject({ result: 'warning' })
    expect(evaluate(given(900), 'modelwright')).toMatchObject({ result: 'fail' })
  })
})
