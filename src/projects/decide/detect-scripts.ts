import type { JsonScalar } from '../project-file.ts'
import type { DraftData, DraftStep } from './project-draft.ts'
import { shellQuote } from './render-command.ts'

export type RepositoryFile = { path: string; text?: string }

export type ScriptsDraft = {
  steps: DraftStep[]
  gate?: { model: string; metric: string; lowerIsBetter: boolean }
  found: string[]
  guessed: string[]
}

const roles = [
  { name: 'prepare', pattern: /^(prepare|preprocess|make_dataset|build_features|featuri[sz]e|split)[\w-]*\.py$/ },
  { name: 'train', pattern: /^train[\w-]*\.py$/ },
  { name: 'evaluate', pattern: /^(evaluate|evaluation|eval|score)[\w-]*\.py$/ },
] as const

type Role = (typeof roles)[number]['name']
type Script = { role: Role; path: string; text: string }

/** Steps from the names of Python scripts, and from what their text reads, writes, takes as options and logs. */
export function detectScripts(
  files: readonly RepositoryFile[],
  data: readonly DraftData[],
  model: string,
): ScriptsDraft {
  const draft: ScriptsDraft = { steps: [], found: [], guessed: [] }
  const scripts = roles.flatMap(({ name, pattern }) => pickScript(files, name, pattern, draft))
  const written = new Map<string, Role>()
  for (const script of scripts) {
    const step = toStep(script, files, data, written)
    const logsModel = script.role === 'train' && /log_model\s*\(|\.autolog\s*\(/.test(script.text)
    if (logsModel) step.model = model
    if (script.role === 'train' && measures.test(script.text)) step.metrics = true
    if (script.role === 'train' && !logsModel)
      step.notes.push('Log the model with mlflow and name it here with model: to make it a candidate.')
    for (const out of step.outs) written.set(out, script.role)
    draft.steps.push(step)
    const missing = missingReads(script, files, written)
    if (missing.length > 0)
      draft.guessed.push(
        `${script.path} reads ${missing.join(', ')}, which Git does not have (ignored?) and no step writes: a step sees only what deps name`,
      )
    draft.guessed.push(
      `step "${step.name}" from ${script.path}: deps ${wordsOf(step.deps)}; outs ${wordsOf(step.outs)}`,
    )
  }
  addGate(draft, scripts, model)
  return draft
}

const measures = /log_metrics?\s*\(|\.autolog\s*\(|metrics\.json/

const wordsOf = (words: readonly string[]): string => words.join(', ') || 'none seen'

function pickScript(files: readonly RepositoryFile[], role: Role, pattern: RegExp, draft: ScriptsDraft): Script[] {
  const matching = files
    .filter(
      ({ path }) =>
        pattern.test(path.split('/').at(-1)!) &&
        !/(^|\/)(tests?|\.venv|venv|node_modules|site-packages|notebooks|build|dist)\//.test(path),
    )
    .sort((a, b) => depth(a.path) - depth(b.path) || a.path.length - b.path.length || (a.path < b.path ? -1 : 1))
  const [first, ...others] = matching
  if (!first) return []
  draft.found.push(first.path)
  if (others.length > 0)
    draft.guessed.push(
      `${first.path} is taken for the step "${role}"; also there: ${others
        .slice(0, 5)
        .map((one) => one.path)
        .join(', ')}`,
    )
  return [{ role, path: first.path, text: first.text ?? '' }]
}

const depth = (path: string): number => path.split('/').length

function toStep(
  script: Script,
  files: readonly RepositoryFile[],
  data: readonly DraftData[],
  written: ReadonlyMap<string, Role>,
): DraftStep {
  const outs = literalsOf(script.text, writing).filter((path) => !files.some((file) => file.path === path))
  const reads = literalsOf(script.text, reading).filter((path) => !outs.includes(path))
  const known = reads.filter((path) => written.has(path) || files.some((file) => file.path === path))
  const named = known.map((path) => dataName(path, data) ?? path)
  // A script whose text names no file probably takes its data from the environment: it is given all there is.
  const guessedData =
    known.length === 0 && script.role !== 'evaluate' && written.size === 0 ? data.map(({ name }) => `data:${name}`) : []
  const params = optionsOf(script.text)
  const options = Object.keys(params).map((name) => ` --${params[name]!.option} \${params.${name}}`)
  return {
    name: script.role,
    run: `python ${/^[\w./-]+$/.test(script.path) ? script.path : shellQuote(script.path)}${options.join('')}`,
    deps: [...new Set([...codeOf(script, files), ...named, ...guessedData])],
    outs,
    params: Object.fromEntries(Object.entries(params).map(([name, { value }]) => [name, value])),
    notes: [],
  }
}

function missingReads(script: Script, files: readonly RepositoryFile[], written: ReadonlyMap<string, Role>): string[] {
  const own = literalsOf(script.text, writing)
  return literalsOf(script.text, reading).filter(
    (path) => !own.includes(path) && !written.has(path) && !files.some((file) => file.path === path),
  )
}

const dataName = (path: string, data: readonly DraftData[]): string | undefined => {
  const source = data.find((one) => one.path === path)
  return source && `data:${source.name}`
}

/** The script's folder, or, for a script at the root, itself and the modules beside it that it imports. */
function codeOf(script: Script, files: readonly RepositoryFile[]): string[] {
  const folder = script.path.includes('/') ? `${script.path.split('/')[0]}/` : undefined
  const imported = [...script.text.matchAll(/^\s*(?:from|import)\s+([A-Za-z_]\w*)/gm)].map((match) => match[1]!)
  const modules = imported.flatMap((name) => {
    if (files.some((file) => file.path === `${name}.py`)) return [`${name}.py`]
    return files.some((file) => file.path.startsWith(`${name}/`) && file.path.endsWith('.py')) ? [`${name}/`] : []
  })
  return [folder ?? script.path, ...modules]
}

const fileName = String.raw`["']((?:\./)?\w[\w./ -]*\.(?:csv|tsv|parquet|json|jsonl|pkl|pickle|joblib|npy|npz|txt|yaml|yml|feather|pt|onnx))["']`
const writing = [
  new RegExp(String.raw`\.to_(?:csv|parquet|json|pickle|feather)\(\s*${fileName}`, 'g'),
  new RegExp(String.raw`\b(?:dump|save|savez|save_model)\([^()\n]*?${fileName}`, 'g'),
  new RegExp(String.raw`\bopen\(\s*${fileName}\s*,\s*["'][wax]`, 'g'),
  new RegExp(String.raw`Path\(\s*${fileName}\s*\)\.write_`, 'g'),
]
const reading = [
  new RegExp(String.raw`\bread_(?:csv|table|parquet|json|pickle|feather)\(\s*${fileName}`, 'g'),
  new RegExp(String.raw`\b(?:load|genfromtxt|loadtxt|load_model)\(\s*${fileName}`, 'g'),
  new RegExp(String.raw`\bopen\(\s*${fileName}\s*(?:\)|,\s*["']r)`, 'g'),
  new RegExp(String.raw`Path\(\s*${fileName}\s*\)\.read_`, 'g'),
]

const literalsOf = (text: string, patterns: readonly RegExp[]): string[] => [
  ...new Set(patterns.flatMap((pattern) => [...text.matchAll(pattern)].map((match) => match[1]!.replace(/^\.\//, '')))),
]

/** argparse and click options whose default is a plain number or word. */
function optionsOf(text: string): Record<string, { option: string; value: JsonScalar }> {
  const options: Record<string, { option: string; value: JsonScalar }> = {}
  for (const [, option, rest] of text.matchAll(
    /(?:add_argument|click\.option)\(\s*["']--([A-Za-z][\w-]{0,60})["']([^()]*)\)/g,
  )) {
    const written = /\bdefault\s*=\s*(?:(-?\d+(?:\.\d+)?(?:e-?\d+)?)|["']([A-Za-z][\w-]*)["'])\s*(?:,|$)/i.exec(rest!)
    if (written)
      options[option!.replaceAll('-', '_')] = { option: option!, value: written[1] ? Number(written[1]) : written[2]! }
  }
  return options
}

/** Where a script logs metrics and a model is known, the first metric that people usually judge by becomes the gate. */
function addGate(draft: ScriptsDraft, scripts: readonly Script[], model: string): void {
  const evaluate = draft.steps.find((step) => step.name === 'evaluate')
  const script = scripts.find(({ role }) => role === 'evaluate')
  if (!evaluate || !script) return
  const makesModel = draft.steps.some((step) => step.model === model)
  if (makesModel) evaluate.deps.push(`model:${model}`)
  const logged = metricsOf(script.text)
  if (measures.test(script.text)) evaluate.metrics = true
  if (!makesModel || !evaluate.metrics || logged.length === 0) return
  const metric = preferred.find((name) => logged.includes(name)) ?? logged[0]!
  const lowerIsBetter = /loss|error|rmse|mse|mae|brier/i.test(metric)
  draft.gate = { model, metric: `evaluate.${metric}`, lowerIsBetter }
  draft.guessed.push(
    `the gate compares evaluate.${metric} with the champion (${lowerIsBetter ? 'lower' : 'higher'} is better); logged: ${logged.join(', ')}`,
  )
}

const preferred = ['auc', 'roc_auc', 'f1', 'accuracy', 'r2', 'rmse', 'mae', 'loss']

function metricsOf(text: string): string[] {
  const single = [...text.matchAll(/log_metric\(\s*["']([A-Za-z]\w*)["']/g)].map((match) => match[1]!)
  const many = [...text.matchAll(/log_metrics\(\s*\{([^}]*)\}/g)].flatMap((match) =>
    [...match[1]!.matchAll(/["']([A-Za-z]\w*)["']\s*:/g)].map((key) => key[1]!),
  )
  return [...new Set([...single, ...many])]
}
