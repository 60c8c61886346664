import { z } from 'zod'
import { type Digest, isDigest } from '../../kernel/digest.ts'
import { parseDuration } from '../../kernel/time.ts'
import { parseBytes } from '../../kernel/units.ts'
import { driftMeasures, type RetrainTrigger } from '../project-file.ts'
import { map, named, notYet, Refused, written, writtenOrNumber } from './grammar.ts'
import { scheduleForms, scheduleToCron } from './schedule.ts'
import { bound, duration, durationOrNone, readFixedBound, scalar, share } from './schema-words.ts'

// `deployments:` of modelwright.yaml.

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

export const deployment = map(
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
