// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${params.x} is a word of modelwright.yaml
import { type BoundsExpr, boundsIn, isRelative } from '../../kernel/bound.ts'
import { nearestWord } from '../../kernel/nearest-word.ts'
import type { ProjectFile, Step } from '../project-file.ts'
import { OutIndex } from './out-index.ts'
import { paramReference, unprotectedReferences } from './render-command.ts'
import { depSeesOut, isInside } from './repository-path.ts'
import type { PathProblem } from './shape-problems.ts'
import { findCycle, type Makers, makersOf, upstreamSteps } from './step-graph.ts'

/** What is wrong between places of a file whose every place is well formed by itself. */
export function semanticProblems(file: ProjectFile): PathProblem[] {
  const steps = Object.values(file.steps)
  const made = modelsMade(steps)
  const makers = makersOf(steps)
  const tooTangled = tangleProblems(steps, makers)
  return [
    ...steps.flatMap((step) => [
      ...unknownDeps(file, step, made),
      ...commandProblems(step),
      ...foreachProblems(step, steps),
      ...conditionProblems(file, step),
    ]),
    ...overlappingOutputs(file, steps),
    ...modelsMadeTwice(steps),
    ...(tooTangled.length > 0 ? tooTangled : cycles(file, makers)),
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

function unknownDeps(file: ProjectFile, step: Step, made: readonly string[]): PathProblem[] {
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

/** The list is what another step writes; a fixed list is a matrix. */
function foreachProblems(step: Step, steps: readonly Step[]): PathProblem[] {
  if (!step.foreach) return []
  const path = ['steps', step.name, 'foreach']
  const { list } = step.foreach
  const writer = steps.find((one) => one !== step && one.outs.some((out) => isInside(list, out)))
  if (writer?.foreach)
    return [
      invalid(
        path,
        `found "${list}", which step "${writer.name}" writes once for each of its items; join them in a step first`,
      ),
    ]
  if (writer) return []
  const near = nearestWord(
    list,
    steps.flatMap((one) => one.outs),
  )
  return [
    invalid(
      path,
      `found "${list}", but no step writes it; name one of the outs of a step${near ? ` (did you mean "${near}"?)` : ''}, or write a fixed list as matrix:`,
    ),
  ]
}

function conditionProblems(file: ProjectFile, step: Step): PathProblem[] {
  return step.when.flatMap((condition, index) => {
    const path = ['steps', step.name, 'when', index]
    if (condition.kind === 'fact') {
      const name = condition.fact.startsWith('params.') ? condition.fact.slice('params.'.length) : undefined
      if (name === undefined || Object.hasOwn(step.params, name)) return []
      return [invalid(path, unknown(name, 'parameter of this step', Object.keys(step.params)))]
    }
    const asked = file.steps[condition.step]
    if (asked === step)
      return [invalid(path, `found "${condition.text}", a metric of the step itself; it has none before it ran`)]
    if (!asked) return [invalid(path, unknownStepOfMatrix(condition.step, file))]
    if (asked.foreach)
      return [
        invalid(
          path,
          `found "${condition.text}", but "${asked.name}" runs once for each item; join its metrics in a step`,
        ),
      ]
    return asked.metrics === false
      ? [invalid(path, `found "${condition.text}", but step "${asked.name}" has no metrics: true`)]
      : []
  })
}

function unknownStepOfMatrix(name: string, file: ProjectFile): string {
  const nodes = Object.values(file.steps).filter((one) => one.matrix?.of === name)
  return nodes.length > 0
    ? `found "${name}", which matrix: makes ${nodes.length} steps of; name one of them: ${someOf(nodes.map((one) => one.name))}`
    : unknown(name, 'step', someOf(Object.keys(file.steps), 20).split(', '))
}

const someOf = (names: readonly string[], most = 5): string =>
  names.length <= most ? names.join(', ') : `${names.slice(0, most).join(', ')}, …`

/** Two matrices that all read each other's outputs are refused before their millions of lines are drawn. */
const mostLines = 250_000

function tangleProblems(steps: readonly Step[], makers: Makers): PathProblem[] {
  let lines = 0
  for (const step of steps) {
    for (const dep of step.deps) lines += makers(dep).length
    if (lines > mostLines)
      return [
        invalid(
          ['steps', step.name, 'deps'],
          `found more than ${mostLines} dependencies between steps; let one step join what many write, or put the matrix values into the paths of deps:`,
        ),
      ]
  }
  return []
}

type Output = { step: string; index: number; path: string }

function overlappingOutputs(file: ProjectFile, steps: readonly Step[]): PathProblem[] {
  const kept = keptPaths(file)
  const earlier = new OutIndex<Output>()
  return steps.flatMap((step) =>
    step.outs.flatMap((out, index) => {
      const output = { step: step.name, index, path: out }
      const [other] = earlier.overlapping(out)
      earlier.add(out, output)
      const problem = overlapProblem(file, output, other, kept)
      return problem ? [invalid(['steps', step.name, 'outs', index], problem)] : []
    }),
  )
}

function overlapProblem(
  file: ProjectFile,
  output: Output,
  other: Output | undefined,
  kept: readonly { path: string; what: string }[],
): string | undefined {
  if (other)
    return `${overlap(output, `output "${other.path}" of step "${other.step}"`)}${matrixHint(file, output, other)}`
  const source = kept.find((one) => depSeesOut(one.path, output.path))
  if (source) return overlap(output, `${source.what} "${source.path}", which is kept in Git`)
  const own = file.steps[output.step]!.deps.find((dep) => dep.kind === 'path' && depSeesOut(dep.path, output.path))
  return own?.kind === 'path'
    ? overlap(output, `dep "${own.path}" of the same step: a step cannot depend on what it writes`)
    : undefined
}

function matrixHint(file: ProjectFile, output: Output, other: Output): string {
  const [matrix, twin] = [file.steps[output.step]!.matrix, file.steps[other.step]!.matrix]
  if (!matrix || matrix.of !== twin?.of) return ''
  const differing = Object.keys(matrix.values).filter((axis) => matrix.values[axis] !== twin.values[axis])
  return `; put \${matrix.${differing[0]}} into the path`
}

const keptPaths = (file: ProjectFile): { path: string; what: string }[] => [
  { path: 'modelwright.yaml', what: 'the file' },
  ...Object.values(file.data).map(({ path }) => ({ path, what: 'the data' })),
  ...(file.python ? [{ path: file.python.requirements, what: 'the requirements' }] : []),
]

const overlap = (output: Output, other: string): string => `found the output "${output.path}", which overlaps ${other}`

function modelsMadeTwice(steps: readonly Step[]): PathProblem[] {
  const makers = new Map<string, Step>()
  return steps.flatMap((step) => {
    if (!step.model) return []
    const other = makers.get(step.model)
    if (!other) {
      makers.set(step.model, step)
      return []
    }
    const hint =
      step.matrix && step.matrix.of === other.matrix?.of
        ? `; put \${matrix.${Object.keys(step.matrix.values)[0]}} into the name`
        : ''
    return [
      invalid(
        ['steps', step.name, 'model'],
        `found "${step.model}", which step "${other.name}" logs already; a model comes from one step${hint}`,
      ),
    ]
  })
}

function cycles(file: ProjectFile, makers: Makers): PathProblem[] {
  const upstream = upstreamSteps(file.steps, makers)
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
    if (source.secret !== undefined && !source.address?.startsWith('http'))
      found.push(
        invalid(['data', name, 'secret'], 'found a secret beside data that nobody asks for one; it is for https://…'),
      )
    if (source.plus && source.address)
      found.push({
        kind: 'not-yet',
        path: ['data', name, 'plus'],
        at: 'key',
        text: 'plus: beside data at an address; name a file in Git',
      })
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
  const measuring = Object.values(file.steps).filter((step) => step.metrics !== false && !step.foreach)
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
  if (measuring.some((step) => step.matrix?.of === word))
    return `found "${metric}"; ${unknownStepOfMatrix(word, file).replace(/^found [^,]*, /, '')}`
  if (Object.hasOwn(file.steps, word) && !names.includes(word))
    return `found "${metric}", but step "${word}" has no metrics: true`
  const nearest = nearestWord(word, names)
  const hint = nearest ? `; did you mean "${nearest}${metric.slice(word.length)}"?` : ''
  return `found "${metric}"; expected STEP.METRIC with a step that has metrics: true (${someOf(names, 20) || 'there is none'})${hint}`
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
