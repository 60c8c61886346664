// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${matrix.x} and ${item} are words of modelwright.yaml
import { nearestWord } from '../../kernel/nearest-word.ts'
import type { Dep, JsonScalar, Step } from '../project-file.ts'
import { nameProblem } from './grammar.ts'
import { shellQuoteFilled, unprotectedReferences } from './render-command.ts'
import { isGlob, normalisePath, pathProblem } from './repository-path.ts'
import type { PathProblem } from './shape-problems.ts'
import { fillIn, holdsItem, referencesIn } from './templates.ts'

type Axes = Record<string, JsonScalar[]>

/** A step as the file says it: `matrix` still holds lists, and texts their references. */
export type WrittenStep = Omit<Step, 'name' | 'matrix'> & { matrix?: Axes | undefined }

/** Of all steps of a file together; more is no pipeline that a person reads. */
export const mostSteps = 10_000

/**
 * Each step with `matrix:` becomes one step for each combination, in place: `train` → `train@xgb-3`, `train@xgb-5`, … (DVC's
 * spelling), the first name turning slowest. What the values make of paths and names is checked as if it had been written so.
 */
export function expandMatrix(written: Readonly<Record<string, WrittenStep>>): {
  steps: Record<string, Step>
  problems: PathProblem[]
} {
  const tooMany = countProblems(written)
  if (tooMany.length > 0) return { steps: {}, problems: tooMany }
  const steps: Step[] = []
  const problems: PathProblem[] = []
  for (const [name, step] of Object.entries(written)) {
    problems.push(...referenceProblems(name, step), ...repeatedValues(name, step.matrix))
    for (const one of step.matrix ? combined(name, step, step.matrix) : [withName(name, step)]) {
      steps.push(one.step)
      problems.push(...one.problems)
    }
  }
  return { steps: Object.fromEntries(steps.map((step) => [step.name, step])), problems }
}

/** `train@xgb-3` → `train`; the name that stands in the file. */
export const declaredName = (step: string): string => step.split('@', 1)[0]!

function countProblems(written: Readonly<Record<string, WrittenStep>>): PathProblem[] {
  let total = 0
  for (const [name, { matrix }] of Object.entries(written)) {
    const count = Object.values(matrix ?? {}).reduce((product, values) => product * values.length, 1)
    total += count
    if (total > mostSteps)
      return [
        invalid(
          ['steps', name, 'matrix'],
          `found ${count} combinations, which makes ${total} steps; at most ${mostSteps} are carried out`,
        ),
      ]
  }
  return []
}

const invalid = (path: PropertyKey[], text: string): PathProblem => ({ kind: 'invalid', path, at: 'value', text })

type Made = { step: Step; problems: PathProblem[] }

const withName = (name: string, { matrix: _, ...step }: WrittenStep): Made => ({
  step: { name, ...step },
  problems: [],
})

function combined(name: string, written: WrittenStep, axes: Axes): Made[] {
  const names = new Set<string>()
  return combinations(axes).map((values) => {
    const made = filledStep(name, written, values)
    const full = freeName(`${name}@${slug(Object.values(values))}`, names)
    names.add(full)
    return { step: { ...made.step, name: full, matrix: { of: name, values } }, problems: made.problems }
  })
}

function combinations(axes: Axes): Record<string, JsonScalar>[] {
  let found: Record<string, JsonScalar>[] = [{}]
  for (const [axis, values] of Object.entries(axes))
    found = found.flatMap((one) => values.map((value) => ({ ...one, [axis]: value })))
  return found
}

const longestSlug = 80

/** Values as a part of a name: node names are folders and parts of addresses. */
export const slug = (values: readonly JsonScalar[]): string =>
  values
    .map(
      (value) =>
        String(value)
          .slice(0, longestSlug)
          .replaceAll(/[^A-Za-z0-9_.]+/g, '-')
          .replaceAll(/^[-.]+|[-.]+$/g, '') || 'x',
    )
    .join('-')
    .slice(0, longestSlug)

/** The name, or with the first number that is free; the evaluation of a champion is called `…@champion`. */
export function freeName(wanted: string, taken: ReadonlySet<string>): string {
  if (!taken.has(wanted) && !wanted.endsWith('@champion')) return wanted
  for (let index = 2; ; index++) if (!taken.has(`${wanted}-${index}`)) return `${wanted}-${index}`
}

/** The step with its values filled in; a value in `run:` is one quoted word, as parameters are. */
function filledStep(name: string, { matrix: _, ...step }: WrittenStep, values: Record<string, JsonScalar>): Made {
  const valueFor = (reference: string): JsonScalar | undefined =>
    reference.startsWith('matrix.') && Object.hasOwn(values, reference.slice(7))
      ? values[reference.slice(7)]
      : undefined
  const fill = (text: string) => fillIn(text, valueFor)
  const problems: PathProblem[] = []
  const path = (text: string, ...at: PropertyKey[]) => {
    const filled = fill(text)
    if (filled === text) return text
    const problem = filledPathProblem(filled, at[0] === 'deps')
    if (problem) problems.push(invalid(['steps', name, ...at], `found "${filled}" for "${text}"; ${problem}`))
    return normalisePath(filled)
  }
  const word = (text: string, ...at: PropertyKey[]) => {
    const filled = fill(text)
    const problem = filled === text || holdsItem(filled) ? undefined : nameProblem(filled)
    if (problem) problems.push(invalid(['steps', name, ...at], `found "${filled}" for "${text}"; ${problem}`))
    return filled
  }
  const dep = (one: Dep, index: number): Dep =>
    one.kind === 'path' ? { kind: 'path', path: path(one.path, 'deps', index) } : { ...one, name: fill(one.name) }
  return {
    step: {
      ...step,
      name,
      run: fillIn(step.run, valueFor, shellQuoteFilled),
      deps: step.deps.map(dep),
      outs: step.outs.map((out, index) => path(out, 'outs', index)),
      params: Object.fromEntries(
        Object.entries(step.params).map(([key, value]) => [key, filledValue(value, valueFor)]),
      ),
      metrics: typeof step.metrics === 'string' ? path(step.metrics, 'metrics') : step.metrics,
      ...(step.model ? { model: word(step.model, 'model') } : {}),
      ...(step.mutex ? { mutex: word(step.mutex, 'mutex') } : {}),
      ...(step.checkpoints ? { checkpoints: path(step.checkpoints, 'checkpoints') } : {}),
    },
    problems,
  }
}

/** A parameter that is nothing but a reference keeps the value's type. */
export function filledValue(value: JsonScalar, valueFor: (name: string) => JsonScalar | undefined): JsonScalar {
  if (typeof value !== 'string') return value
  const [only] = referencesIn(value)
  const whole = only !== undefined && value === `\${${only}}` ? valueFor(only) : undefined
  return whole ?? fillIn(value, valueFor)
}

/** What is wrong with a path after its references were filled in; undefined: nothing. */
export function filledPathProblem(path: string, isDep: boolean): string | undefined {
  const problem = pathProblem(path)
  if (problem) return `it ${problem}`
  if (normalisePath(path) === '.' && !isDep) return 'it is the whole repository'
  if (path.split('/').includes('')) return 'a part of it is empty'
  return isGlob(path) && !isDep ? 'a pattern cannot stand here' : undefined
}

/** References that nothing fills in, and places where a fan-out needs one. */
function referenceProblems(name: string, step: WrittenStep): PathProblem[] {
  const axes = Object.keys(step.matrix ?? {})
  const problems: PathProblem[] = []
  const look = (text: string, path: PropertyKey[], items: boolean) => {
    for (const reference of referencesIn(text)) {
      const isItem = reference === 'item' || reference.startsWith('item.')
      // In a command without foreach: \${item} is the shell's own variable.
      if (isItem && path[0] === 'run' && !step.foreach) continue
      const problem = isItem ? itemProblem(step, items) : axisProblem(reference, axes)
      if (problem) problems.push(invalid(['steps', name, ...path], `found \${${reference}}, ${problem}`))
    }
  }
  look(step.run, ['run'], true)
  for (const [index, dep] of step.deps.entries())
    look(dep.kind === 'path' ? dep.path : dep.name, ['deps', index], false)
  for (const [index, out] of step.outs.entries()) look(out, ['outs', index], true)
  for (const [key, value] of Object.entries(step.params)) look(String(value), ['params', key], true)
  if (typeof step.metrics === 'string') look(step.metrics, ['metrics'], true)
  if (step.model) look(step.model, ['model'], false)
  if (step.mutex) look(step.mutex, ['mutex'], true)
  if (step.checkpoints) look(step.checkpoints, ['checkpoints'], true)
  for (const reference of new Set(unprotectedReferences(step.run, /\$\{(matrix\.[^}]*|item(?:\.[^}]*)?)\}/y)))
    if (reference.startsWith('matrix.') || step.foreach)
      problems.push(
        invalid(
          ['steps', name, 'run'],
          `found \${${reference}} inside quotes; take the quotes away: each value is quoted by itself`,
        ),
      )
  const shared = step.foreach ? step.outs.findIndex((out) => !holdsItem(out)) : -1
  if (shared >= 0)
    problems.push(
      invalid(
        ['steps', name, 'outs', shared],
        `found "${step.outs[shared]}", which each item of foreach: would write; put \${item} into the path`,
      ),
    )
  return problems
}

const itemProblem = (step: WrittenStep, allowed: boolean): string | undefined => {
  if (!step.foreach) return 'but this step has no foreach:'
  return allowed ? undefined : 'which can stand in run:, outs:, params:, metrics:, mutex: and checkpoints: only'
}

function axisProblem(reference: string, axes: readonly string[]): string | undefined {
  if (axes.length === 0) return 'but this step has no matrix:'
  const axis = reference.slice('matrix.'.length)
  if (axes.includes(axis)) return undefined
  const near = nearestWord(axis, axes)
  return `but matrix: of this step has ${axes.join(', ')}${near ? `; did you mean \${matrix.${near}}?` : ''}`
}

function repeatedValues(name: string, axes: Axes | undefined): PathProblem[] {
  return Object.entries(axes ?? {}).flatMap(([axis, values]) => {
    const known = new Set<string>()
    return values.flatMap((value, index) => {
      const text = String(value)
      if (!known.has(text)) {
        known.add(text)
        return []
      }
      return [
        invalid(['steps', name, 'matrix', axis, index], `found "${text}" a second time among the values of ${axis}`),
      ]
    })
  })
}
