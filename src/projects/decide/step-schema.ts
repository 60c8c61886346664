import { z } from 'zod'
import { parseBytes } from '../../kernel/units.ts'
import { type Condition, type Dep, failureKinds, type Resources, type Retries, sharedCaches } from '../project-file.ts'
import { map, Refused, written, writtenOrNumber } from './grammar.ts'
import { shellQuote } from './render-command.ts'
import { normalisePath } from './repository-path.ts'
import {
  duration,
  durationOrNone,
  environmentVariable,
  filePath,
  nameTemplate,
  pathTemplate,
  readFixedBound,
  repositoryPath,
  scalar,
} from './schema-words.ts'
import { scoreCommand, scoredInput, scoredModel } from './score-schema.ts'
import { withoutReferences } from './templates.ts'

// `steps:` of modelwright.yaml.

const dep = written('a path, data:NAME or model:NAME', (text): Dep | Refused => {
  const reference = /^(data|model):(.*)$/.exec(text)
  if (reference) return { kind: reference[1] as 'data' | 'model', name: reference[2]! }
  const read = repositoryPath(withoutReferences(text))
  return read instanceof Refused ? read : { kind: 'path', path: normalisePath(text) }
})

const paramName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/, {
  error: 'expected a parameter name of letters, digits, "_", "." and "-", beginning with a letter',
})

const matrix = z
  .record(paramName, z.array(scalar).min(1))
  .refine((axes) => Object.keys(axes).length > 0, { error: 'expected at least one name with its values' })
  .describe('a map of names to lists of values')

const defaultFanOut = 100
const largestFanOut = 10_000

const foreach = z
  .union([
    filePath('the path of a JSON list that another step writes').transform((list) => ({
      list,
      at_most: defaultFanOut,
    })),
    map({
      list: filePath('the path of a JSON list that another step writes'),
      at_most: z.int().min(1).max(largestFanOut).default(defaultFanOut),
    }),
  ])
  .transform(({ list, at_most }) => ({ list, atMost: at_most }))
  .describe(`the path of a JSON list that another step writes, or { list: PATH, at_most: ${defaultFanOut} }`)

const conditionForms =
  '"STEP.METRIC >= 0.9", "branch == main", "trigger != push" or "params.NAME == value" (quoted, because of ":" and ">")'

const condition = written(conditionForms, (text): Condition | Refused | undefined => {
  const fact = /^\s*(branch|trigger|params\.[A-Za-z_][\w.-]*)\s*(==|!=)\s*(.+?)\s*$/.exec(text)
  if (fact)
    return {
      kind: 'fact',
      text: text.trim(),
      fact: fact[1] as 'branch' | 'trigger' | `params.${string}`,
      equals: fact[2] === '==',
      value: fact[3]!.replace(/^(["'])(.*)\1$/, '$2'),
    }
  const metric = /^\s*([A-Za-z0-9][\w@.-]*?)\.([A-Za-z_][\w./-]*)\s*([<>=!].*)$/.exec(text)
  if (!metric) return undefined
  const read = readFixedBound(metric[3]!)
  if (read instanceof Refused) return read
  return { kind: 'metric', text: text.trim(), step: metric[1]!, metric: metric[2]!, bound: read }
})

const retries = z
  .union([
    z
      .int()
      .min(0)
      .max(20)
      .transform((times) => ({ times, wait: 10_000, on: [...failureKinds] })),
    map({
      times: z.int().min(0).max(20).default(2),
      wait: durationOrNone.default(10_000),
      on: z
        .array(z.enum(failureKinds))
        .min(1)
        .default([...failureKinds]),
    }),
  ])
  .transform(({ times, wait, on }): Retries => ({ times, waitMs: wait, on }))
  .describe(`how often it is tried again, or { times: 2, wait: 10s, on: [${failureKinds.join(', ')}] }`)

const resources = map({
  cpu: z.number().positive().max(1024).default(1),
  memory: writtenOrNumber('an amount of memory such as 512MB or 4GB', parseBytes).optional(),
  gpu: z.int().min(0).max(64).default(0),
}).transform(
  ({ cpu, memory, gpu }): Resources => ({ cpu, gpu, ...(memory === undefined ? {} : { memoryBytes: memory }) }),
)

/** Carried out by the bootstrap's own module, which stands on the step's PYTHONPATH. */
const notebookCommand = (path: string): string => `python -m modelwright_notebook ${shellQuote(path)}`

export const step = map(
  {
    run: z
      .string()
      .refine((text) => text.trim() !== '' && !text.includes('\0'), { error: 'expected a command' })
      .describe('a command (text; write "true" in quotes)')
      .optional(),
    notebook: filePath('the path of a notebook (.ipynb)').optional(),
    score: scoredModel.optional(),
    input: scoredInput.optional(),
    out: filePath('the .parquet, .csv or .tsv file that it writes').optional(),
    keep: z
      .union([z.literal('all'), z.array(z.string().regex(/^[^,]+$/)).min(1)])
      .describe('all, or a list of columns of the input')
      .optional(),
    deps: z.array(dep).describe('a list of paths, data:NAME and model:NAME').default([]),
    outs: z.array(pathTemplate('a path that the step writes')).describe('a list of paths').default([]),
    params: z.record(paramName, scalar).describe('a map of parameters').default({}),
    seed: z.int().min(0).max(4_294_967_295).describe('a whole number from 0 to 4294967295').default(0),
    env: z.array(environmentVariable).describe('a list of names of environment variables').default([]),
    model: nameTemplate('the name of the model that the step logs').optional(),
    metrics: z
      .union([z.boolean(), pathTemplate('true, or the path of a JSON file')])
      .describe('true, or the path of a JSON file')
      .default(false),
    always: z.boolean().default(false),
    matrix: matrix.optional(),
    foreach: foreach.optional(),
    when: z
      .union([condition.transform((one) => [one]), z.array(condition)])
      .describe(`a list of: ${conditionForms}`)
      .default([]),
    retries: retries.prefault(0),
    timeout: duration.optional(),
    resources: resources.prefault({}),
    mutex: nameTemplate('a name that steps share of which one runs at a time').optional(),
    checkpoints: pathTemplate('a folder of the workspace').optional(),
    secrets: z.array(environmentVariable).describe('a list of names of secrets').default([]),
    caches: z
      .array(z.enum(sharedCaches))
      .describe(`a list of: ${sharedCaches.join(', ')}`)
      .default([]),
    isolated: z.boolean().default(true),
    platform: z.boolean().default(false),
  },
  ['python', 'image', 'search', 'engine'],
)
  // Not a refinement: that would be another schema than the one whose refused keys are known.
  .transform(({ timeout, run, score, input, out, keep, ...read }, context) => {
    const refuse = (path: PropertyKey[], message: string) => context.addIssue({ code: 'custom', path, message })
    const kinds = Object.entries({ run, notebook: read.notebook, score }).filter(([, given]) => given !== undefined)
    if (kinds.length === 0) refuse(['run'], 'found neither run: nor notebook: nor score:; expected a command')
    if (kinds.length > 1)
      refuse([kinds.at(-1)![0]], `found ${kinds.map(([kind]) => `${kind}:`).join(' and ')}; a step has one of them`)
    for (const [name, given] of Object.entries({ input, out, keep }))
      if (given !== undefined && score === undefined) refuse([name], `found ${name}: without score:`)
    if (score !== undefined && (input === undefined || out === undefined))
      refuse(['score'], `found score: without ${input === undefined ? 'input:' : 'out:'}`)
    if (out !== undefined && !/\.(parquet|csv|tsv)$/.test(out))
      refuse(['out'], `found "${out}"; expected a .parquet, .csv or .tsv file`)
    const scoring =
      score !== undefined && input !== undefined && out !== undefined ? { score, input, out, keep } : undefined
    if (read.foreach && read.matrix) refuse(['foreach'], 'found foreach: and matrix:; a step has one of them')
    if (read.foreach && read.model)
      refuse(
        ['model'],
        'found model: beside foreach:; a step that runs once for each item cannot be the one that logs a model',
      )
    const twice = read.secrets.find((name) => read.env.includes(name))
    if (twice) refuse(['secrets'], `found "${twice}" in secrets: and env:`)
    return {
      ...read,
      ...(scoring
        ? {
            score: scoring.score,
            run: scoreCommand(scoring),
            deps: [...read.deps, scoring.input, { kind: 'model' as const, name: scoring.score }],
            outs: [...read.outs, scoring.out],
          }
        : { run: run ?? notebookCommand(read.notebook ?? '') }),
      ...(timeout === undefined ? {} : { timeoutMs: timeout }),
    }
  })
