import { AppError } from '../../kernel/errors.ts'
import type { GateDeclaration, ModelPolicy, Problem, ProjectFile, Step } from '../project-file.ts'
import { type FileShape, fileSchema } from './file-schema.ts'
import { semanticProblems } from './file-semantics.ts'
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
  const file = toProjectFile(shape.data)
  const problems = placed(source, semanticProblems(file))
  return problems.length > 0 ? { problems } : { file }
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

function toProjectFile(shape: FileShape): ProjectFile {
  const names = Object.keys(shape.steps)
  return {
    ...shape,
    steps: mapValues(shape.steps, (step, name): Step => ({ name, ...step })),
    models: mapValues(shape.models, (model): ModelPolicy => {
      const gate = model.gate && toGate(model.gate, names)
      return { ...(gate ? { gate } : {}), promote: model.promote }
    }),
  }
}

function toGate(gate: NonNullable<FileShape['models'][string]['gate']>, steps: readonly string[]): GateDeclaration {
  return {
    ...gate,
    objectives: gate.objectives.map((objective) => {
      // Step names may hold dots themselves: the longest step that the metric begins with is meant.
      const step = steps
        .filter((name) => objective.metric.startsWith(`${name}.`))
        .sort((a, b) => b.length - a.length)[0]
      const split = step ?? objective.metric.split('.')[0]!
      return { ...objective, step: split, name: objective.metric.slice(split.length + 1) }
    }),
  }
}

const mapValues = <A, B>(
  record: Readonly<Record<string, A>>,
  change: (value: A, key: string) => B,
): Record<string, B> => Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value, key)]))
