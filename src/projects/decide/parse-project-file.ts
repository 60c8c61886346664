import { AppError } from '../../kernel/errors.ts'
import type { DataSource, GateDeclaration, ModelPolicy, Problem, ProjectFile, Step } from '../project-file.ts'
import { dataPlace } from './data-place.ts'
import { isMap } from './dvc-values.ts'
import { expandMatrix } from './expand-matrix.ts'
import { type FileShape, fileSchema } from './file-schema.ts'
import { semanticProblems } from './file-semantics.ts'
import { dvcFileName, readDvcFile } from './read-dvc-file.ts'
import { type PathProblem, shapeProblems } from './shape-problems.ts'
import { readYaml, type YamlSource } from './yaml-source.ts'

/**
 * The text of a modelwright.yaml → what it declares, defaults filled in. `fileName` only names the place.
 * Throws ConfigInvalid (or NotYetSupported, where that is all there is) with the first problem's place and with up to
 * ten problems in its message.
 */
export function parseProjectFile(text: string, fileName = 'modelwright.yaml'): ProjectFile {
  const read = checkProjectFile(text)
  if ('file' in read) return read.file
  throw errorOf(read.problems, fileName)
}

/**
 * A repository whose pipeline is a dvc.yaml: the stages stand in for the `steps:` that its modelwright.yaml (if it has one) does not have.
 * `files`: the texts of those of `dvcValueFiles` that there are.
 */
export function parseWithDvc(
  text: string,
  dvc: { text: string; files: ReadonlyMap<string, string> },
  fileName = 'modelwright.yaml',
): ProjectFile {
  const { steps, paramFiles } = readDvcFile(dvc.text, dvc.files)
  const yaml = readYaml(text)
  if ('problems' in yaml) throw errorOf(yaml.problems, fileName)
  const read = checkProjectFile(JSON.stringify({ ...(yaml.source.value as object), steps }))
  // The places of the joined text are nobody's.
  if ('problems' in read)
    throw errorOf(
      read.problems.map((problem) => ({ ...problem, line: 1, column: 1 })),
      `${fileName} with the stages of ${dvcFileName}`,
    )
  for (const [name, files] of Object.entries(paramFiles)) read.file.steps[name]!.paramFiles = files
  return read.file
}

/** Whether a modelwright.yaml leaves its steps to a dvc.yaml. */
export function declaresNoSteps(text: string): boolean {
  const yaml = readYaml(text)
  if ('problems' in yaml) return false
  const { value } = yaml.source
  return isMap(value) && (value.steps === undefined || value.steps === null)
}

/** The same as data, for editors and for reports that show every problem. */
export function checkProjectFile(text: string): { file: ProjectFile } | { problems: Problem[] } {
  const yaml = readYaml(text)
  if ('problems' in yaml) return yaml
  const { source } = yaml
  if (source.value === null)
    return {
      problems: [{ kind: 'invalid', line: 1, column: 1, text: 'the file is empty; `modelwright init` writes one' }],
    }
  const shape = fileSchema.safeParse(source.value)
  if (!shape.success) return { problems: placed(source, shapeProblems(fileSchema, source.value, shape.error.issues)) }
  const { steps, problems: expansion } = expandMatrix(shape.data.steps)
  if (expansion.length > 0) return { problems: placed(source, toldOnce(expansion)) }
  const file = toProjectFile(shape.data, steps)
  const problems = placed(source, toldOnce(asWritten(file, semanticProblems(file))))
  return problems.length > 0 ? { problems } : { file }
}

/** A problem of `train@xgb` stands at `train:`, and of those that its siblings have at the same place the first one is enough. */
function asWritten(file: ProjectFile, problems: readonly PathProblem[]): PathProblem[] {
  const told = new Set<string>()
  return problems.flatMap((problem) => {
    const [section, name, ...rest] = problem.path
    const matrix = section === 'steps' ? file.steps[String(name)]?.matrix : undefined
    if (!matrix) return [problem]
    const path = ['steps', matrix.of, ...rest]
    const place = JSON.stringify(path.map(String))
    if (told.has(place)) return []
    told.add(place)
    return [{ ...problem, path }]
  })
}

/** Combinations share what does not depend on their values. */
function toldOnce(problems: readonly PathProblem[]): PathProblem[] {
  const told = new Map(problems.map((problem) => [JSON.stringify([problem.path.map(String), problem.text]), problem]))
  return [...told.values()]
}

const placed = (source: YamlSource, problems: readonly PathProblem[]): Problem[] =>
  problems
    .map(({ kind, path, at, text }) => ({ kind, ...source.placeOf(path, at), text }))
    .sort((a, b) => a.line - b.line || a.column - b.column)

const shown = 10

function errorOf(problems: readonly Problem[], fileName: string): AppError {
  const wrong = problems.some((problem) => problem.kind === 'invalid')
  const lines = problems
    .slice(0, shown)
    .map((problem) => `${fileName}:${problem.line}:${problem.column} ${words(problem)}`)
  if (problems.length > shown) lines.push(`… and ${problems.length - shown} more`)
  const first = problems[0]!
  return new AppError(
    wrong ? 'ConfigInvalid' : 'NotYetSupported',
    lines.join('\n'),
    wrong
      ? `Correct ${fileName} there, then try again; \`modelwright run --dry-run\` checks it without a push.`
      : `Take it out of ${fileName}, or wait for a version that carries it out.`,
    { place: { file: fileName, line: first.line, column: first.column } },
  )
}

const words = (problem: Problem): string =>
  problem.kind === 'not-yet' ? `asks for ${problem.text}, which this version does not carry out yet` : problem.text

function toProjectFile(shape: FileShape, steps: Record<string, Step>): ProjectFile {
  const names = [...new Set([...Object.keys(steps), ...Object.keys(shape.steps)])].sort((a, b) => b.length - a.length)
  return {
    ...shape,
    data: mapValues(shape.data, ({ path, ...source }, name): DataSource => ({ ...source, ...placeOf(path, name) })),
    steps,
    models: mapValues(shape.models, (model, name): ModelPolicy => {
      const gate = model.gate && toGate(model.gate, name, steps, names)
      return { ...(gate ? { gate } : {}), promote: model.promote }
    }),
  }
}

const placeOf = (path: FileShape['data'][string]['path'], name: string): Pick<DataSource, 'path' | 'address'> =>
  'address' in path ? { path: dataPlace(name, path.address), address: path.address } : path

function toGate(
  gate: NonNullable<FileShape['models'][string]['gate']>,
  model: string,
  steps: Readonly<Record<string, Step>>,
  longestFirst: readonly string[],
): GateDeclaration {
  return {
    ...gate,
    objectives: gate.objectives.map((objective) => {
      // Step names may hold dots themselves: the longest step that the metric begins with is meant.
      const written = longestFirst.find((name) => objective.metric.startsWith(`${name}.`))
      const split = written ?? objective.metric.split('.')[0]!
      const name = objective.metric.slice(split.length + 1)
      return { ...objective, step: nodeThatTakes(model, split, steps), name }
    }),
  }
}

/** Of a matrix the one step that takes the gate's model; where none or several do, the matrix itself, which is then refused. */
function nodeThatTakes(model: string, declared: string, steps: Readonly<Record<string, Step>>): string {
  if (Object.hasOwn(steps, declared)) return declared
  const takes = Object.values(steps).filter(
    (step) => step.matrix?.of === declared && step.deps.some((dep) => dep.kind === 'model' && dep.name === model),
  )
  return takes.length === 1 ? takes[0]!.name : declared
}

const mapValues = <A, B>(
  record: Readonly<Record<string, A>>,
  change: (value: A, key: string) => B,
): Record<string, B> => Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value, key)]))
