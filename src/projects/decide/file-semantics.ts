// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${params.x} is a word of modelwright.yaml
import { type BoundsExpr, boundsIn, isRelative } from '../../kernel/bound.ts'
import { nearestWord } from '../../kernel/nearest-word.ts'
import type { ProjectFile, Step } from '../project-file.ts'
import { paramReference, unprotectedReferences } from './render-command.ts'
import { depSeesOut, pathsOverlap } from './repository-path.ts'
import type { PathProblem } from './shape-problems.ts'
import { findCycle, upstreamSteps } from './step-graph.ts'

/** What is wrong between places of a file whose every place is well formed by itself. */
export function semanticProblems(file: ProjectFile): PathProblem[] {
  const steps = Object.values(file.steps)
  return [
    ...steps.flatMap((step) => [...unknownDeps(file, step), ...commandProblems(step)]),
    ...overlappingOutputs(file, steps),
    ...modelsMadeTwice(steps),
    ...cycles(file),
    ...dataProblems(file),
    ...gateProblems(file),
    ...unjudgedPromotions(file),
    ...deploymentProblems(file),
  ]
}

const invalid = (path: PropertyKey[], text: string, at: 'key' | 'value' = 'value'): PathProblem => ({
  kind: 'invalid',
  path,
  at,
  text,
})

function unknown(found: string, what: string, declared: readonly string[]): string {
  const nearest = nearestWord(found, declared)
  const list = declared.length > 0 ? `declared: ${declared.join(', ')}` : 'none is declared'
  return `found "${found}", but there is no such ${what}; ${list}${nearest ? `; did you mean "${nearest}"?` : ''}`
}

function unknownDeps(file: ProjectFile, step: Step): PathProblem[] {
  const made = modelsMade(Object.values(file.steps))
  return step.deps.flatMap((dep, index) => {
    if (dep.kind === 'path') return []
    const known = dep.kind === 'data' ? Object.keys(file.data) : made
    if (known.includes(dep.name)) return []
    const what = dep.kind === 'data' ? 'data' : 'model that a step logs'
    return [invalid(['steps', step.name, 'deps', index], unknown(dep.name, what, known))]
  })
}

const modelsMade = (steps: readonly Step[]): string[] => steps.flatMap((step) => (step.model ? [step.model] : []))

function commandProblems(step: Step): PathProblem[] {
  const path = ['steps', step.name, 'run']
  const declared = Object.keys(step.params)
  const used = [...step.run.matchAll(paramReference)].map((match) => match[1]!)
  const bare = new Set(unprotectedReferences(step.run))
  return [
    ...used
      .filter((name) => !declared.includes(name))
      .map((name) => invalid(path, unknown(name, 'parameter of this step', declared))),
    ...[...bare].map((name) =>
      invalid(path, `found \${params.${name}} inside quotes; take the quotes away: each value is quoted by itself`),
    ),
    ...(/\$\{params\.[^}]*$/.test(step.run) ? [invalid(path, 'found "${params." without its closing "}"')] : []),
  ]
}

type Output = { step: string; index: number; path: string }

function overlappingOutputs(file: ProjectFile, steps: readonly Step[]): PathProblem[] {
  const outputs: Output[] = steps.flatMap((step) => step.outs.map((path, index) => ({ step: step.name, index, path })))
  const kept = keptPaths(file)
  return outputs.flatMap((output, position) => {
    const path = ['steps', output.step, 'outs', output.index]
    const other = outputs.slice(0, position).find((earlier) => pathsOverlap(earlier.path, output.path))
    if (other) return [invalid(path, overlap(output, `output "${other.path}" of step "${other.step}"`))]
    const source = kept.find((one) => pathsOverlap(one.path, output.path))
    if (source) return [invalid(path, overlap(output, `${source.what} "${source.path}", which is kept in Git`))]
    const own = file.steps[output.step]!.deps.find((dep) => dep.kind === 'path' && depSeesOut(dep.path, output.path))
    if (own?.kind !== 'path') return []
    return [
      invalid(path, overlap(output, `dep "${own.path}" of the same step: a step cannot depend on what it writes`)),
    ]
  })
}

const keptPaths = (file: ProjectFile): { path: string; what: string }[] => [
  { path: 'modelwright.yaml', what: 'the file' },
  ...Object.values(file.data).map(({ path }) => ({ path, what: 'the data' })),
  ...(file.python ? [{ path: file.python.requirements, what: 'the requirements' }] : []),
]

const overlap = (output: Output, other: string): string => `found the output "${output.path}", which overlaps ${other}`

function modelsMadeTwice(steps: readonly Step[]): PathProblem[] {
  return steps.flatMap((step, position) => {
    const other = steps.slice(0, position).find((earlier) => step.model && earlier.model === step.model)
    return other
      ? [
          invalid(
            ['steps', step.name, 'model'],
            `found "${step.model}", which step "${other.name}" logs already; a model comes from one step`,
          ),
        ]
      : []
  })
}

function cycles(file: ProjectFile): PathProblem[] {
  const upstream = upstreamSteps(file.steps)
  // A step that reads what it writes itself is told at its output.
  for (const [name, before] of upstream)
    upstream.set(
      name,
      before.filter((one) => one !== name || readsOwnModel(file.steps[name]!)),
    )
  const cycle = findCycle(upstream)
  return cycle
    ? [
        invalid(
          ['steps', cycle[0]!],
          `found a cycle: ${cycle.join(' → ')}; each reads what the one before it makes`,
          'key',
        ),
      ]
    : []
}

const readsOwnModel = (step: Step): boolean => step.deps.some((dep) => dep.kind === 'model' && dep.name === step.model)

function dataProblems(file: ProjectFile): PathProblem[] {
  const environments = environmentsOf(file)
  const variables = new Map<string, string>()
  return Object.entries(file.data).flatMap(([name, source]) => {
    const found: PathProblem[] = []
    const variable = name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')
    const twin = variables.get(variable)
    if (twin)
      found.push(
        invalid(
          ['data', name],
          `found "${name}" beside "${twin}": both would be MODELWRIGHT_DATA_${variable} in a step`,
          'key',
        ),
      )
    variables.set(variable, name)
    if (source.plus && !environments.includes(source.plus.predictions))
      found.push(
        invalid(['data', name, 'plus', 'predictions'], unknown(source.plus.predictions, 'environment', environments)),
      )
    if (source.plus && source.key === undefined)
      found.push(
        invalid(
          ['data', name, 'plus'],
          'found plus: without key:; without a key column a labelled row could be in test and training',
          'key',
        ),
      )
    return found
  })
}

/** Environments exist by being deployed to or promoted to. */
const environmentsOf = (file: ProjectFile): string[] => [
  ...new Set([
    ...Object.keys(file.deployments),
    ...Object.values(file.models).flatMap((model) => Object.keys(model.promote)),
  ]),
]

function gateProblems(file: ProjectFile): PathProblem[] {
  const measuring = Object.values(file.steps).filter((step) => step.metrics !== false)
  return Object.entries(file.models).flatMap(([model, { gate }]) => {
    if (!gate) return []
    const made = modelsMade(Object.values(file.steps))
    if (!made.includes(model))
      return [invalid(['models', model], unknown(model, 'model that a step logs', made), 'key')]
    return gate.objectives.flatMap((objective, index) => {
      const path = ['models', model, 'gate', 'objectives', index, 'metric']
      if (objective.step === 'serving' && !Object.hasOwn(file.steps, 'serving'))
        return [
          {
            kind: 'not-yet' as const,
            path,
            at: 'value' as const,
            text: `the metric ${objective.metric} (measured while serving)`,
          },
        ]
      const step = measuring.find((one) => one.name === objective.step)
      if (!step || objective.name === '') return [invalid(path, unknownMetric(objective.metric, file, measuring))]
      const relative = [objective.pass, objective.warn].some((bounds) => bounds && isRelativeTree(bounds))
      const judged = step.deps.some((dep) => dep.kind === 'model' && (dep.name === model || !made.includes(dep.name)))
      if (!relative || judged) return []
      return [
        invalid(
          path,
          `found "${objective.metric}" compared with the champion, but step "${step.name}" has no dep "model:${model}", so it cannot be run for the champion: measure it in a step that takes the model, or compare with numbers alone`,
        ),
      ]
    })
  })
}

function unjudgedPromotions(file: ProjectFile): PathProblem[] {
  return Object.entries(file.models).flatMap(([model, { gate, promote }]) =>
    Object.entries(promote).flatMap(([environment, rule]) =>
      rule === 'automatic' && !gate
        ? [
            invalid(
              ['models', model, 'promote', environment],
              'found "automatic" for a model without gate:; a model is promoted by evidence',
            ),
          ]
        : [],
    ),
  )
}

const isRelativeTree = (bounds: BoundsExpr): boolean => boundsIn(bounds).some(isRelative)

function unknownMetric(metric: string, file: ProjectFile, measuring: readonly Step[]): string {
  const word = metric.split('.')[0]!
  const names = measuring.map((step) => step.name)
  if (Object.hasOwn(file.steps, word) && !names.includes(word))
    return `found "${metric}", but step "${word}" has no metrics: true`
  const nearest = nearestWord(word, names)
  const hint = nearest ? `; did you mean "${nearest}${metric.slice(word.length)}"?` : ''
  return `found "${metric}"; expected STEP.METRIC with a step that has metrics: true (${names.join(', ') || 'there is none'})${hint}`
}

function deploymentProblems(file: ProjectFile): PathProblem[] {
  const models = [...new Set([...Object.keys(file.models), ...modelsMade(Object.values(file.steps))])]
  return Object.entries(file.deployments).flatMap(([environment, deployment]) => {
    const found: PathProblem[] = []
    if (!models.includes(deployment.model))
      found.push(invalid(['deployments', environment, 'model'], unknown(deployment.model, 'model', models)))
    if (deployment.version !== undefined && deployment.digest === undefined)
      found.push(
        invalid(
          ['deployments', environment, 'version'],
          `found version ${deployment.version} without digest:; the digest is what counts`,
        ),
      )
    if (
      deployment.retrain.on.some((trigger) => trigger.kind === 'drift') &&
      Object.keys(deployment.monitor.drift).length === 0
    )
      found.push(
        invalid(
          ['deployments', environment, 'retrain', 'on'],
          'found "drift", but monitor: of this deployment has no drift: bounds',
        ),
      )
    return found
  })
}
