// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${matrix.x} is a word of modelwright.yaml
import { z } from 'zod'
import { type Bound, type BoundsExpr, isRelative, parseBound } from '../../kernel/bound.ts'
import { addressProblem } from '../../kernel/data-address.ts'
import { type Digest, isDigest } from '../../kernel/digest.ts'
import { parseDuration } from '../../kernel/time.ts'
import { parseBytes, parseShare } from '../../kernel/units.ts'
import {
  type Condition,
  type Dep,
  driftMeasures,
  failureKinds,
  type PythonEnvironment,
  type Resources,
  type RetrainTrigger,
  type Retries,
  sharedCaches,
} from '../project-file.ts'
import { map, named, nameForm, nameProblem, notYet, Refused, section, written, writtenOrNumber } from './grammar.ts'
import { shellQuote } from './render-command.ts'
import { isGlob, normalisePath, pathProblem } from './repository-path.ts'
import { scheduleForms, scheduleToCron } from './schedule.ts'
import { withoutReferences } from './templates.ts'

// The shape of modelwright.yaml, and the only place that knows its words. Each schema reads what the file says and
// gives what the types in project-file.ts say; what needs more than one place of the file is in file-semantics.ts.

const repositoryPath = (text: string): string | Refused => {
  const problem = pathProblem(text)
  return problem ? new Refused(`it ${problem}`) : normalisePath(text)
}

const filePath = (form: string) =>
  written(form, (text) => {
    const read = repositoryPath(text)
    if (read instanceof Refused) return read
    if (read === '.') return new Refused('it is the whole repository')
    return isGlob(read) ? new Refused('a pattern cannot stand here; name the file or folder') : read
  })

/** A path in which `${matrix.NAME}` or `${item}` may stand: looked at again when it is filled in. */
const pathTemplate = (form: string) =>
  written(form, (text) => {
    const read = repositoryPath(withoutReferences(text))
    if (read instanceof Refused) return read
    if (read === '.') return new Refused('it is the whole repository')
    return isGlob(read) ? new Refused('a pattern cannot stand here; name the file or folder') : normalisePath(text)
  })

const nameTemplate = (what: string) =>
  written(`${what}: ${nameForm}`, (text) => {
    const problem = nameProblem(withoutReferences(text))
    return problem ? new Refused(problem) : text
  })

const durationForm = 'a duration such as 30s, 10m, 1h30m or 7d'

const durationOrNone = written(durationForm, (text) => {
  const ms = parseDuration(text)
  return ms !== undefined && Number.isSafeInteger(ms) ? ms : undefined
})

const duration = durationOrNone.refine((ms) => ms > 0, { error: 'a duration of nothing' }).describe(durationForm)

const share = writtenOrNumber('a share such as 5% or 0.05', parseShare)

const readBound = (text: string): Bound | Refused => {
  const read = parseBound(text)
  return read.ok ? read.bound : new Refused(read.problem)
}

const gateBound = written('a bound such as ">= 0.95" or ">= champion - 0.005"', readBound)

const readFixedBound = (text: string): Bound | Refused => {
  const read = readBound(text)
  return read instanceof Refused || !isRelative(read)
    ? read
    : new Refused('only a gate compares with the champion; write a number')
}

const bound = written('a bound such as ">= 0.95" or "<= 1%"', readFixedBound)

const scalar = z
  .union([z.string(), z.number(), z.boolean()])
  .refine((value) => typeof value !== 'number' || !Number.isInteger(value) || Number.isSafeInteger(value), {
    error: 'the number has more digits than a number keeps; write it in quotes',
  })
  .describe('a text, a number, true or false')

const python = map(
  {
    version: written('a version in quotes, such as ">= 3.11"', (text) =>
      /^\s*((~=|==|!=|<=|>=|<|>)?\s*\d+(\.(\d+|\*))*\s*)(,\s*(~=|==|!=|<=|>=|<|>)\s*\d+(\.(\d+|\*))*\s*)*$/.test(text)
        ? text.trim()
        : undefined,
    ).optional(),
    requirements: filePath('the path of a requirements.txt or pyproject.toml').optional(),
    conda: filePath('the path of an environment.yml').optional(),
  },
  ['image', 'environment'],
).transform(({ version, requirements, conda }, context): PythonEnvironment => {
  const refuse = (message: string, ...path: string[]) => {
    context.addIssue({ code: 'custom', path, message })
    return z.NEVER
  }
  if (requirements !== undefined && conda !== undefined)
    return refuse('found conda: beside requirements:; an environment is made from one of them', 'conda')
  if (conda !== undefined && version !== undefined)
    return refuse('found version: beside conda:; name python among the dependencies of the conda file', 'version')
  if (conda !== undefined) return { requirements: conda, conda: true }
  if (requirements === undefined) return refuse('found neither requirements: nor conda:; name a requirements.txt')
  if (/\.ya?ml$/.test(requirements))
    return refuse(`found "${requirements}"; write a conda file as conda:`, 'requirements')
  return { requirements, ...(version === undefined ? {} : { version }) }
})

const dataPath = written('the path of a file in Git, of a .dvc pointer, or https://…', (text) => {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return dataAddress(text)
  if (/@(sha256:.*|[0-9a-f]{6,})$/.test(text)) return notYet(`a dataset by its digest (${text}); name a file in Git`)
  // What the pointer stands for lies beside it, once DVC's remote has given it.
  const read = repositoryPath(text.replace(/\.dvc$/, ''))
  if (read instanceof Refused) return read
  if (read === '.' || text.endsWith('/')) return notYet('a folder as data; name a file in Git')
  return isGlob(read) ? notYet('a pattern as data; name a file in Git') : { path: read }
})

function dataAddress(text: string): { address: string } | Refused {
  if (/^(s3|gs|az|abfss?|hdfs|wasbs?):/i.test(text))
    return notYet(`data in an object store (${text}); name an https:// address`)
  const problem = addressProblem(text)
  // Without the text itself: a password in it would be shown.
  return problem ? new Refused(`found an address that ${problem}`) : { address: new URL(text).href }
}

const rowsCheck = map({ rows: bound })
  .transform(({ rows }) => ({ kind: 'rows' as const, rows }))
  .describe('a check of the whole table: { rows: ">= 300" }')

const columnCheck = map(
  {
    column: z.string().min(1).describe('the name of a column'),
    type: z.enum(['number', 'integer', 'string', 'boolean']).optional(),
    range: z
      .tuple([z.number().nullable(), z.number().nullable()])
      .refine(([low, high]) => low === null || high === null || low <= high, {
        error: 'the range begins after its end',
      })
      .transform(([low, high]) => ({ ...(low === null ? {} : { min: low }), ...(high === null ? {} : { max: high }) }))
      .describe('a range such as [0, 100]; null leaves an end open')
      .optional(),
    values: z.array(scalar).min(1).describe('a list of the allowed values').optional(),
    missing: bound.optional(),
    unique: z.boolean().optional(),
    regex: written('a regular expression', (text) => {
      try {
        new RegExp(text, 'u')
        return text
      } catch (error) {
        return new Refused(error instanceof Error ? error.message : undefined)
      }
    }).optional(),
    at: z.enum(['training', 'inference', 'both']).default('both'),
  },
  ['length', 'dates', 'monotonic', 'quantiles', 'foreign_key', 'severity', 'freshness', 'mean'],
)
  .transform((check) => ({ kind: 'column' as const, ...check }))
  .describe('a check of one column: { column: mean_radius, type: number, range: [0, 100] }')

const check = z.union([rowsCheck, columnCheck]).describe('a check: { rows: … } or { column: … }')

const environmentVariable = written('the name of an environment variable', (text) => {
  if (/^(MLFLOW_|MODELWRIGHT_)|^(PYTHONHASHSEED|PATH|HOME|PWD)$/.test(text))
    return new Refused('Modelwright sets this variable itself in each step')
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(text) ? text : undefined
})

const dataSource = map(
  {
    path: dataPath,
    key: z.string().min(1).describe('the name of a column').optional(),
    plus: map({
      predictions: named('the name of an environment'),
      labelled: z.literal(true, { error: 'expected true: only labelled rows can be added to data' }).default(true),
    }).optional(),
    checks: z.array(check).describe('a list of checks').default([]),
    secret: environmentVariable.optional(),
  },
  ['split', 'sample', 'schema', 'subject', 'licence', 'version'],
)

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

/** Which variable of a step holds the path of a dataset or a model: docs/step-contract.md. */
const variableOf = (prefix: string, name: string): string => prefix + name.toUpperCase().replace(/[^A-Z0-9]/g, '_')

/** Carried out by the bootstrap's own module, which stands on the step's PYTHONPATH. */
const notebookCommand = (path: string): string => `python -m modelwright_notebook ${shellQuote(path)}`

/** The part of a step that scores a table: nobody's command, but this program's own. */
type Scoring = { score: string; input: Dep; out: string; keep: string[] | 'all' | undefined }

/**
 * Paths of this machine are in variables, so that the key does not depend on where the program lies. A bad row fails the step: what
 * would be written about it is no declared output.
 */
const scoreCommand = ({ score, input, out, keep }: Scoring): string =>
  [
    '"$MODELWRIGHT_NODE" --disable-warning=ExperimentalWarning "$MODELWRIGHT_PROGRAM" score',
    `"$${variableOf('MODELWRIGHT_MODEL_', score)}"`,
    input.kind === 'data'
      ? `"$${variableOf('MODELWRIGHT_DATA_', input.name)}"`
      : shellQuote((input as { path: string }).path),
    shellQuote(out),
    '--on-bad fail --restart --python python3',
    ...(keep === undefined ? [] : [`--keep ${shellQuote(keep === 'all' ? keep : keep.join(','))}`]),
  ].join(' ')

const scoredModel = written('the name of a model that a step of this file logs', (text) => {
  if (/^[^@/]+[@/]./.test(text))
    return new Refused(
      'a step scores with a model that this pipeline makes; a registered version is scored with by `run: modelwright score …`',
    )
  return nameProblem(text) ? undefined : text
})

const scoredInput = written('a path or data:NAME', (text): Dep | Refused => {
  const data = /^data:(.+)$/.exec(text)
  if (data) return { kind: 'data', name: data[1]! }
  const read = repositoryPath(text)
  if (read instanceof Refused) return read
  return isGlob(read)
    ? new Refused('a pattern cannot stand here; name the file or folder')
    : { kind: 'path', path: read }
})

const step = map(
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

const bounds: z.ZodType<BoundsExpr> = z.lazy(() =>
  z
    .union([
      gateBound,
      z
        .array(bounds)
        .min(1)
        .transform((all): BoundsExpr => ({ all })),
      map({ any: z.array(bounds).min(1) }),
      map({ all: z.array(bounds).min(1) }),
    ])
    .describe('a bound such as ">= 0.95", a list of bounds that must all hold, or { any: […] }'),
)

const objective = map(
  {
    metric: z.string().min(1).describe('STEP.METRIC, such as evaluate.auc'),
    pass: bounds.optional(),
    warn: bounds.optional(),
    weight: z.number().positive().default(1),
    key: z.boolean().default(false),
  },
  ['slices', 'slice', 'confidence', 'interval', 'replay', 'display_name'],
)

const gate = map(
  {
    objectives: z.array(objective).min(1).describe('a list of objectives'),
    total: map({ pass: share.default(0.9), warn: share.default(0.75) })
      .refine(({ pass, warn }) => warn <= pass, {
        error: 'the gate would warn above what passes: warn must be at most pass',
      })
      .prefault({}),
    first: z.enum(['ask', 'allow']).default('ask'),
  },
  ['slices', 'confidence', 'comparison', 'replay', 'fairness', 'slo'],
)

const promoteRule = z
  .union([
    z.enum(['automatic', 'pull-request']),
    map({ approval: named('a role') }, ['approvals', 'by']).describe('{ approval: ROLE }'),
  ])
  .describe('automatic, pull-request or { approval: ROLE }')

const model = map({ gate: gate.optional(), promote: section(promoteRule) }, [
  ...['card', 'signature', 'convert', 'fairness', 'owner', 'batch'],
])

const canary = z
  .array(share)
  .min(1)
  .check((context) => {
    const shares = context.value
    const refuse = (index: number, message: string) =>
      context.issues.push({ code: 'custom', path: [index], message, input: shares[index] })
    for (const [index, value] of shares.entries())
      if (value <= (shares[index - 1] ?? 0))
        refuse(index, 'the shares of a canary rise from step to step, from above 0')
    if (shares.length > 0 && shares.at(-1) !== 1) refuse(shares.length - 1, 'the last step of a canary is 100%')
  })
  .describe('a list of rising shares, such as [5%, 25%, 100%]')

const rollout = map(
  {
    canary: canary.default([1]),
    every: duration.default(10 * 60_000),
    min_requests: z.int().min(1).describe('a whole number from 1').default(30),
    abort: map({ error_rate: bound.optional(), input_failure_rate: bound.optional() }, [
      ...['latency', 'p99_ms', 'metric', 'metrics', 'compare'],
    ]).prefault({}),
  },
  ['blue_green', 'shadow', 'mirror', 'bandit', 'experiment', 'replay'],
).transform((read) => ({
  canary: read.canary,
  everyMs: read.every,
  minRequests: read.min_requests,
  abort: {
    ...(read.abort.error_rate ? { errorRate: read.abort.error_rate } : {}),
    ...(read.abort.input_failure_rate ? { inputFailureRate: read.abort.input_failure_rate } : {}),
  },
}))

const driftBounds = Object.fromEntries(driftMeasures.map((measure) => [measure, bound.optional()])) as Record<
  (typeof driftMeasures)[number],
  z.ZodOptional<typeof bound>
>

const monitor = map(
  {
    drift: map(driftBounds, [
      'wasserstein',
      'jensen_shannon',
      'kl',
      'hellinger',
      'mmd',
      'columns',
      'reference',
    ]).default({}),
    labels: map({ within: duration }, ['source', 'queue'])
      .transform(({ within }) => ({ withinMs: within }))
      .optional(),
    window: writtenOrNumber('a number of predictions, or a duration such as 1d', (text) => {
      if (/^[1-9]\d{0,8}$/.test(text)) return { predictions: Number(text) }
      const ms = parseDuration(text)
      return ms ? { ms } : undefined
    }).optional(),
  },
  ['performance', 'quality', 'slices', 'alerts', 'notify', 'explain'],
)

const unitMs = { hour: 3_600_000, day: 86_400_000, week: 604_800_000 } as const

const frequency = written('a number per time, such as "1 per day"', (text) => {
  const match = /^\s*([1-9]\d{0,5})\s+per\s+(\S.*?)\s*$/.exec(text)
  if (!match) return undefined
  const unit = match[2]!
  const perMs = Object.hasOwn(unitMs, unit) ? unitMs[unit as keyof typeof unitMs] : parseDuration(unit)
  return perMs ? { count: Number(match[1]), perMs } : undefined
})

const triggerForms = `drift, a bound of a metric ("accuracy < 0.9") or a schedule: ${scheduleForms}`

const trigger = written(triggerForms, (text): RetrainTrigger | Refused | undefined => {
  if (text === 'drift') return { kind: 'drift' }
  if (/^new[-_ ](data|labels)$/.test(text)) return notYet(`retraining on ${text}`)
  const cron = scheduleToCron(text)
  if (cron) return { kind: 'schedule', text, cron }
  const metric = /^\s*([A-Za-z][\w./-]*)\s*([<>=!].*)$/.exec(text)
  if (!metric) return undefined
  const read = readFixedBound(metric[2]!)
  return read instanceof Refused ? read : { kind: 'metric', metric: metric[1]!, bound: read }
})

const retrain = map(
  {
    on: z
      .union([trigger.transform((one) => [one]), z.array(trigger)])
      .describe(`a list of: ${triggerForms}`)
      .default([]),
    at_most: frequency.default({ count: 1, perMs: unitMs.day }),
    cooldown: durationOrNone.default(unitMs.hour),
  },
  ['steps', 'params', 'search'],
).transform((read) => ({ on: read.on, atMost: read.at_most, cooldownMs: read.cooldown }))

const serve = map(
  {
    concurrency: z.int().min(1).max(10_000).describe('a whole number from 1').optional(),
    queue: z.int().min(0).max(100_000).describe('a whole number from 0').optional(),
    workers: z.int().min(1).max(256).describe('a whole number from 1 to 256').optional(),
    spare: z.boolean().optional(),
    network: z.boolean().optional(),
    memory: writtenOrNumber('an amount of memory such as 512MB or 4GB', parseBytes).optional(),
    deadline: duration.optional(),
    swap: z.enum(['auto', 'surge', 'hold']).optional(),
    convert: z.enum(['auto', 'off']).optional(),
    idle: duration.optional(),
  },
  ['threads', 'batch', 'min', 'max', 'cpu', 'gpu'],
).transform(({ memory, deadline, idle, ...read }) => ({
  ...read,
  ...(idle === undefined ? {} : { idleMs: idle }),
  ...(memory === undefined ? {} : { memoryBytes: memory }),
  ...(deadline === undefined ? {} : { deadlineMs: deadline }),
}))

const inputs = map({
  on_failure: z.enum(['reject', 'warn', 'impute']).default('reject'),
  impute: z.record(z.string().min(1), scalar).describe('a map of columns to the value that stands in').default({}),
}).transform(({ on_failure, impute }, context) => {
  const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
  const columns = Object.keys(impute).length
  if (on_failure === 'impute' && columns === 0)
    refuse('impute', 'found on_failure: impute without values; say impute: { COLUMN: VALUE }')
  if (on_failure !== 'impute' && columns > 0)
    refuse('impute', `found values beside on_failure: ${on_failure}; they are used with on_failure: impute`)
  return { onFailure: on_failure, impute }
})

const columnNames = z.array(z.string().min(1)).describe('a list of columns')

const log = map({
  sample: share.default(1),
  fields: z
    .union([z.literal('all').transform(() => undefined), columnNames])
    .describe('all, or a list of columns')
    .optional(),
  hash: columnNames.default([]),
  keep: duration.optional(),
  subject: z.string().min(1).describe('the name of a column').optional(),
}).transform(({ keep, fields, subject, ...read }) => ({
  ...read,
  ...(fields === undefined ? {} : { fields }),
  ...(keep === undefined ? {} : { keepMs: keep }),
  ...(subject === undefined ? {} : { subject }),
}))

const deployment = map(
  {
    model: named('the name of a model'),
    version: z.int().min(1).describe('a version number').optional(),
    digest: written('a digest: sha256: and 64 hex digits', (text): Digest | undefined =>
      isDigest(text) ? text : undefined,
    ).optional(),
    rollout: rollout.prefault({}),
    monitor: monitor.prefault({}),
    retrain: retrain.prefault({}),
    serve: serve.prefault({}),
    inputs: inputs.prefault({}),
    log: log.prefault({}),
  },
  ['target', 'resources', 'replicas', 'scale', 'sign', 'features', 'transformer', 'explain', 'schedule'],
)

const branch = written('the name of a Git branch', (text) => {
  const wellFormed =
    /^[A-Za-z0-9][A-Za-z0-9_./-]{0,199}$/.test(text) && !/\.\.|\/\/|\/\.|\.$|\/$|\.lock(\/|$)/.test(text)
  return wellFormed && text !== 'HEAD' ? text : undefined
})

/** modelwright.yaml as it is written, read into what project-file.ts says; see parseProjectFile for the rest. */
export const fileSchema = map(
  {
    project: named('the name of the project'),
    branch: branch.default('main'),
    sample: share
      .refine((value) => value > 0 && value <= 1, { error: 'expected a share above 0% and up to 100%' })
      .optional(),
    python: python.optional(),
    data: section(dataSource),
    steps: section(step),
    models: section(model),
    deployments: section(deployment),
  },
  [
    ...['features', 'labels', 'searches', 'environments', 'secrets', 'durability', 'entities', 'alerts', 'notify'],
    ...['access', 'roles', 'forge', 'remote', 'schedules', 'pipelines', 'include', 'engine', 'budget', 'lineage'],
  ],
)

export type FileShape = z.output<typeof fileSchema>
