import { parse } from 'yaml'
import { z } from 'zod'
import type { JsonScalar } from '../project-file.ts'
import type { DraftStep } from './project-draft.ts'
import { unprotectedReferences } from './render-command.ts'

const list = z.array(z.unknown()).default([])
const stage = z.looseObject({
  cmd: z.union([z.string(), z.array(z.string())]),
  wdir: z.string().optional(),
  deps: list,
  outs: list,
  params: list,
  metrics: list,
  plots: list,
  always_changed: z.boolean().default(false),
})

export type DvcDraft = { steps: DraftStep[]; found: string[]; guessed: string[] }

/** The stages of a dvc.yaml as steps. Undefined where the text is no dvc.yaml; what has no counterpart is named. */
export function detectDvc(text: string | undefined, paramsText: string | undefined): DvcDraft | undefined {
  const stages = stagesOf(text)
  if (!stages) return undefined
  const values = flatten(readYamlObject(paramsText) ?? {})
  const draft: DvcDraft = { steps: [], found: [], guessed: [] }
  for (const [name, written] of Object.entries(stages)) {
    const read = stage.safeParse(written)
    if (!read.success)
      draft.guessed.push(
        `stage "${name}" of dvc.yaml is left out: it has no plain cmd (foreach and matrix are not carried out yet)`,
      )
    else draft.steps.push(toStep(name, read.data, values, draft))
  }
  draft.found.push(`dvc.yaml: ${draft.steps.length} ${draft.steps.length === 1 ? 'stage' : 'stages'}`)
  return draft
}

function toStep(
  name: string,
  read: z.output<typeof stage>,
  values: Map<string, JsonScalar>,
  draft: DvcDraft,
): DraftStep {
  const inside = (path: string) => (read.wdir ? joinPath(read.wdir, path) : path)
  const metrics = read.metrics.flatMap(pathOf).map(inside)
  const { run, params } = commandOf(name, read, values, draft)
  const files = paramFiles(read.params)
  const notes =
    files.size > 0
      ? [`reads ${[...files].map(([file, keys]) => `${keys.join(', ') || 'all'} from ${file}`).join('; ')}`]
      : []
  return {
    name,
    run,
    deps: unique([...read.deps.flatMap(pathOf), ...files.keys()].map(inside)),
    outs: unique([...read.outs, ...read.plots].flatMap(pathOf).map(inside).concat(metrics.slice(1))),
    params,
    ...(metrics[0] ? { metrics: metrics[0] } : {}),
    ...(read.always_changed ? { always: true } : {}),
    notes,
  }
}

function commandOf(
  name: string,
  read: z.output<typeof stage>,
  values: Map<string, JsonScalar>,
  draft: DvcDraft,
): Pick<DraftStep, 'run' | 'params'> {
  const params: Record<string, JsonScalar> = {}
  const lines = Array.isArray(read.cmd) ? read.cmd.join(' && ') : read.cmd
  // Quotes around a whole reference go: each value is quoted when it is filled in.
  const command = (read.wdir ? `cd ${read.wdir} && ${lines}` : lines).replaceAll(
    /(["']?)\$\{([^}]+)\}\1/g,
    (reference, _, key: string) => {
      const value = values.get(key)
      if (value === undefined) {
        draft.guessed.push(`step "${name}": ${reference} is in its cmd, but not in params.yaml; sh will read it`)
        return reference
      }
      params[key] = value
      return `\${params.${key}}`
    },
  )
  let run = command
  for (const key of new Set(unprotectedReferences(command))) {
    // Inside a longer quoted text the value is written in, as DVC does: as a parameter it could not be kept apart there.
    run = run.replaceAll(`\${params.${key}}`, () => String(params[key]))
    delete params[key]
    draft.guessed.push(
      `step "${name}": the value of ${key} is written into its run: line, since it stands inside quotes there`,
    )
  }
  return { run, params }
}

/** DVC's params: `lr` and `train.lr` are of params.yaml, `{other.yaml: [a, b]}` of another file, which is then a dep. */
function paramFiles(params: readonly unknown[]): Map<string, string[]> {
  const files = new Map<string, string[]>()
  for (const param of params) {
    if (typeof param === 'string') files.set('params.yaml', [...(files.get('params.yaml') ?? []), param])
    else if (typeof param === 'object' && param !== null)
      for (const [file, keys] of Object.entries(param)) files.set(file, Array.isArray(keys) ? keys.map(String) : [])
  }
  return files
}

/** `model.pkl` or `{model.pkl: {cache: false}}`. */
const pathOf = (entry: unknown): string[] => {
  if (typeof entry === 'string') return [entry]
  return typeof entry === 'object' && entry !== null ? Object.keys(entry).slice(0, 1) : []
}

function joinPath(folder: string, path: string): string {
  const parts: string[] = []
  for (const part of `${folder}/${path}`.split('/')) {
    if (part === '..' && parts.length > 0) parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return parts.join('/')
}

function stagesOf(text: string | undefined): Record<string, unknown> | undefined {
  const stages = readYamlObject(text)?.stages
  return typeof stages === 'object' && stages !== null && !Array.isArray(stages)
    ? (stages as Record<string, unknown>)
    : undefined
}

function readYamlObject(text: string | undefined): Record<string, unknown> | undefined {
  if (text === undefined) return undefined
  try {
    const value: unknown = parse(text, { maxAliasCount: 50, logLevel: 'silent' })
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    // Init guesses: a file that cannot be read is one that says nothing.
    return undefined
  }
}

function flatten(value: object, prefix = '', into = new Map<string, JsonScalar>()): Map<string, JsonScalar> {
  for (const [key, inner] of Object.entries(value)) {
    if (typeof inner === 'string' || typeof inner === 'number' || typeof inner === 'boolean')
      into.set(prefix + key, inner)
    else if (typeof inner === 'object' && inner !== null && !Array.isArray(inner))
      flatten(inner, `${prefix}${key}.`, into)
  }
  return into
}

const unique = <T>(items: readonly T[]): T[] => [...new Set(items)]
