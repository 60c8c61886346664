import { LineCounter, parseDocument } from 'yaml'
import { AppError, messageOf } from '../kernel/errors.ts'
import { yamlNesting } from '../kernel/yaml-nesting.ts'
import type { Slo, SloComparison, SloCriteria, SloObjective } from './keptn-slo.ts'

type Fields = Record<string, unknown>

const maxNesting = 200

/**
 * Reads an slo.yaml (or the same in JSON) and fills in Keptn's defaults. Unknown keys are ignored, as Keptn does.
 * Throws SloInvalid for text that is not YAML or a field of another type. What a criterion or a score limit *says* is
 * not checked here: Keptn reports that with the evaluation.
 */
export function parseSlo(text: string, file: string): Slo {
  const root = readYaml(text, file)
  if (!isFields(root))
    throw invalid(file, `the file holds ${describe(root)} instead of the keys objectives and total_score`)
  const at = new Reader(file)
  return {
    comparison: readComparison(at, at.fields(root.comparison, 'comparison')),
    objectives: at
      .list(root.objectives, 'objectives')
      .flatMap((item, index) => readObjective(at, item, `objectives[${index}]`)),
    totalScore: readTotalScore(at, at.fields(root.total_score, 'total_score')),
  }
}

function readComparison(at: Reader, written: Fields | undefined): SloComparison {
  if (!written) return { results: 1, include: 'all', aggregate: 'avg' }
  const compareWith = at.text(written.compare_with, 'comparison.compare_with')
  const several = at.integer(written.number_of_comparison_results, 'comparison.number_of_comparison_results')
  if (several < 0) throw invalid(at.file, `comparison.number_of_comparison_results is ${several}; allowed is 1 or more`)
  return {
    // Keptn: 3 where several_results names no number, and where compare_with is another word or left out.
    results: compareWith === 'single_result' ? 1 : compareWith === 'several_results' ? several || 3 : 3,
    include: at.text(written.include_result_with_score, 'comparison.include_result_with_score') || 'all',
    aggregate: at.text(written.aggregate_function, 'comparison.aggregate_function') || 'avg',
  }
}

/** None for an empty list item, which Keptn skips. */
function readObjective(at: Reader, written: unknown, path: string): SloObjective[] {
  const fields = at.fields(written, path)
  if (!fields) return []
  const weight = at.integer(fields.weight, `${path}.weight`)
  if (weight < 0) throw invalid(at.file, `${path}.weight is ${weight}; allowed is a whole number from 1`)
  return [
    {
      sli: at.text(fields.sli, `${path}.sli`),
      displayName: at.text(fields.displayName, `${path}.displayName`),
      pass: readCriteria(at, fields.pass, `${path}.pass`),
      warning: readCriteria(at, fields.warning, `${path}.warning`),
      // Keptn cannot tell 0 from "not written", and takes both as 1.
      weight: weight || 1,
      key: at.truth(fields.key_sli, `${path}.key_sli`),
    },
  ]
}

function readCriteria(at: Reader, written: unknown, path: string): SloCriteria {
  const items = at.list(written, path)
  if (items.length === 0) return undefined
  return items.map((item, index) => {
    const here = `${path}[${index}]`
    const fields = at.fields(item, here)
    if (!fields) throw invalid(at.file, `${here} is empty; allowed is "criteria:" with a list of criteria`)
    return at.list(fields.criteria, `${here}.criteria`).map((one, i) => at.text(one, `${here}.criteria[${i}]`))
  })
}

function readTotalScore(at: Reader, written: Fields | undefined): Slo['totalScore'] {
  if (!written) return undefined
  return { pass: at.text(written.pass, 'total_score.pass'), warning: at.text(written.warning, 'total_score.warning') }
}

/**
 * Every scalar stays the text that was written (schema failsafe), because Keptn puts `pass: 90` and `- 5` into strings
 * as they stand.
 */
function readYaml(text: string, file: string): unknown {
  const nesting = yamlNesting(text)
  if (nesting > maxNesting) throw invalid(file, `it nests up to ${nesting} deep; at most ${maxNesting} is read`)
  const lineCounter = new LineCounter()
  const document = parseDocument(text, { schema: 'failsafe', merge: true, lineCounter })
  const [error] = document.errors
  if (error) {
    const { line, col } = lineCounter.linePos(error.pos[0])
    const [what] = error.message.split('\n')
    throw invalid(file, `not readable as YAML: ${what}`, { line, column: col, cause: error })
  }
  try {
    return document.toJS({ maxAliasCount: 100 })
  } catch (cause) {
    throw invalid(file, `not readable as YAML: ${messageOf(cause)}`, { cause })
  }
}

/** Takes fields in the forms that Keptn's reader takes; an empty or null field is its type's zero value. */
class Reader {
  readonly file: string

  constructor(file: string) {
    this.file = file
  }

  fields(written: unknown, path: string): Fields | undefined {
    if (isEmpty(written)) return undefined
    if (isFields(written)) return written
    throw this.#unexpected(path, written, 'keys and values')
  }

  list(written: unknown, path: string): unknown[] {
    if (isEmpty(written)) return []
    if (Array.isArray(written)) return written
    throw this.#unexpected(path, written, 'a list')
  }

  text(written: unknown, path: string): string {
    if (isEmpty(written)) return ''
    if (typeof written === 'string') return written
    throw this.#unexpected(path, written, 'a text')
  }

  integer(written: unknown, path: string): number {
    const text = this.text(written, path)
    if (text === '') return 0
    const number = /^[+-]?\d+(\.\d*)?$/.test(text) ? Number(text) : Number.NaN
    if (Number.isInteger(number)) return number
    throw this.#unexpected(path, text, 'a whole number')
  }

  truth(written: unknown, path: string): boolean {
    const text = this.text(written, path).toLowerCase()
    if (['true', 'yes', 'on', 'y'].includes(text)) return true
    if (['', 'false', 'no', 'off', 'n'].includes(text)) return false
    throw this.#unexpected(path, text, 'true or false')
  }

  #unexpected(path: string, found: unknown, allowed: string): AppError {
    return invalid(this.file, `${path} is ${describe(found)}; allowed is ${allowed}`)
  }
}

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || value === '' || value === 'null' || value === '~'

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (isFields(value)) return 'a map'
  return isEmpty(value) ? 'empty' : JSON.stringify(value)
}

function invalid(file: string, what: string, at: { line?: number; column?: number; cause?: unknown } = {}): AppError {
  const { cause, ...place } = at
  return new AppError('SloInvalid', `${file}: ${what}.`, "Write it in the form of Keptn's slo.yaml.", {
    cause,
    place: { file, ...place },
  })
}
