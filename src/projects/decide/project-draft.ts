// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${params.x} is a word of modelwright.yaml
import { stringify } from 'yaml'
import type { JsonScalar } from '../project-file.ts'

/** What `modelwright init` is about to write: a project file with the reasons for its guesses. */
export type ProjectDraft = {
  project: string
  python?: { requirements: string; version?: string }
  data: DraftData[]
  steps: DraftStep[]
  /** The steps are the stages of a dvc.yaml. */
  dvc?: true
  gate?: { model: string; metric: string; lowerIsBetter: boolean }
}

export type DraftData = { name: string; path: string; key?: string; columns: string[] }

export type DraftStep = {
  name: string
  run: string
  deps: string[]
  outs: string[]
  params: Record<string, JsonScalar>
  model?: string
  metrics?: true | string
  always?: boolean
  /** Comments in front of the step, a line each. */
  notes: string[]
}

/** A draft as the text of a commented modelwright.yaml. Sections without content are written as comments to uncomment. */
export function writeDraft(draft: ProjectDraft): string {
  return [
    '# What production is made of. Paths are relative to this folder; `modelwright run --dry-run` checks the file.',
    `project: ${scalar(draft.project)}`,
    '',
    ...pythonLines(draft),
    '',
    ...dataLines(draft),
    '',
    ...stepLines(draft),
    '',
    ...modelLines(draft),
    '',
    ...deploymentLines(draft),
    '',
  ].join('\n')
}

function pythonLines({ python }: ProjectDraft): string[] {
  if (!python)
    return [
      '# The packages that the steps need; they are locked exactly.',
      '# python: { requirements: requirements.txt }',
    ]
  const version = python.version ? [`  version: ${JSON.stringify(python.version)}`] : []
  return [
    '# The packages that the steps need; they are locked exactly.',
    'python:',
    ...version,
    `  requirements: ${scalar(python.requirements)}`,
  ]
}

function dataLines({ data }: ProjectDraft): string[] {
  if (data.length === 0)
    return [
      '# Data in Git, with checks that stop bad rows in training and at inference.',
      '# data:',
      '#   rows:',
      '#     path: data/rows.csv',
      '#     key: id                    # rows are split and sampled by a hash of this column',
      '#     checks:',
      '#       - rows: ">= 100"',
      '#       - { column: age, type: number, range: [0, 120], missing: "<= 1%" }',
    ]
  return [
    '# Data in Git, with checks that stop bad rows in training and at inference.',
    'data:',
    ...data.flatMap(dataEntry),
  ]
}

const dataEntry = ({ name, path, key, columns }: DraftData): string[] => [
  `  ${scalar(name)}:`,
  `    path: ${scalar(path)}`,
  key === undefined
    ? '    # key: COLUMN                # rows are split and sampled by a hash of this column'
    : `    key: ${scalar(key)}  # rows are split and sampled by a hash of this column`,
  '    checks:',
  '      - rows: ">= 1"',
  ...columns
    .filter((column) => column !== key)
    .slice(0, 3)
    .map((column) => `      # - ${flow({ column, missing: '<= 1%' })}`),
]

function stepLines({ steps, dvc }: ProjectDraft): string[] {
  if (dvc)
    return [
      '# The steps are the stages of dvc.yaml, as they stand there. Steps that are written here take the place of all of them;',
      '# a model that a gate is to judge needs that: only here a step can say model: NAME.',
      '# steps:',
    ]
  const intro = '# Steps see only what deps names; a step whose inputs did not change is not run again.'
  if (steps.length > 0) return [intro, 'steps:', ...steps.flatMap(stepEntry)]
  return [
    intro,
    '# steps:',
    '#   train:',
    '#     run: python train.py --depth ${params.depth}',
    '#     deps: [train.py, data:rows]',
    '#     params: { depth: 3 }',
    '#     model: my-model              # the MLflow model that this step logs is the candidate',
    '#   evaluate: { run: python evaluate.py, deps: [evaluate.py, data:rows, model:my-model], metrics: true }',
  ]
}

function stepEntry(step: DraftStep): string[] {
  const lines = [
    ...stringify({ run: step.run }, { lineWidth: 0 }).trimEnd().split('\n'),
    ...(step.deps.length > 0 ? [`deps: ${flow(step.deps)}`] : []),
    ...(step.outs.length > 0 ? [`outs: ${flow(step.outs)}`] : []),
    ...(Object.keys(step.params).length > 0 ? [`params: ${flow(step.params)}`] : []),
    ...(step.model ? [`model: ${scalar(step.model)}  # the MLflow model that this step logs is the candidate`] : []),
    ...(step.metrics ? [`metrics: ${scalar(step.metrics)}`] : []),
    ...(step.always ? ['always: true'] : []),
  ]
  const notes = step.notes.map((note) => `  # ${oneLine(note)}`)
  return [...notes, `  ${scalar(step.name)}:`, ...lines.map((line) => (line === '' ? '' : `    ${line}`))]
}

function modelLines({ gate }: ProjectDraft): string[] {
  const intro = '# A candidate is judged against bounds and the champion before it may be promoted.'
  if (!gate)
    return [
      intro,
      '# models:',
      '#   my-model:',
      '#     gate: { objectives: [{ metric: evaluate.auc, pass: [">= 0.9", ">= champion - 0.005"] }] }',
      '#     promote: { production: pull-request }   # automatic | pull-request | { approval: ROLE }',
    ]
  const bound = gate.lowerIsBetter ? '<= champion' : '>= champion'
  return [
    intro,
    'models:',
    `  ${scalar(gate.model)}:`,
    '    gate:',
    '      objectives:',
    '        # No worse than what serves now; the first candidate waits for a person. Add a bound of your own: [">= 0.9"]',
    `        - ${flow({ metric: gate.metric, pass: [bound] })}`,
    '    promote: { production: pull-request }   # automatic | pull-request | { approval: ROLE }',
  ]
}

function deploymentLines({ gate }: ProjectDraft): string[] {
  return [
    '# What production is. A promotion is a commit here that adds version and digest; a rollback is its revert.',
    '# deployments:',
    '#   production:',
    `#     model: ${gate ? scalar(gate.model) : 'my-model'}`,
    '#     rollout: { canary: [5%, 25%, 100%], every: 10m, abort: { error_rate: "> 1%" } }',
    '#     monitor: { drift: { psi: "> 0.2" }, labels: { within: 7d } }',
    '#     retrain: { on: [drift, "every monday 06:00"], at_most: 1 per day }',
  ]
}

/** A value in YAML's flow form, laid out as people write it; bounds in quotes as in the documentation. */
function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`
  if (typeof value === 'object' && value !== null)
    return `{ ${Object.entries(value)
      .map(([key, inner]) => `${flow(key)}: ${flow(inner)}`)
      .join(', ')} }`
  if (typeof value === 'string' && /^[<>=!]/.test(value)) return JSON.stringify(value)
  // Inside a list YAML quotes what would end a plain text there, such as a comma.
  return stringify([value], { collectionStyle: 'flow', lineWidth: 0 }).trim().slice(1, -1).trim()
}

const scalar = (value: JsonScalar): string => stringify(value, { lineWidth: 0 }).trim()
const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ')
