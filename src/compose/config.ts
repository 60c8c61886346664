import { availableParallelism, hostname, totalmem } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { z } from 'zod'
import { AppError } from '../kernel/errors.ts'
import { isPostgresUrl } from '../kernel/postgres-url.ts'
import { parseDuration } from '../kernel/time.ts'
import { parseBytes, parseShare } from '../kernel/units.ts'

/** Everything that can be set, in one place: a flag `--data-dir` wins over `MODELWRIGHT_DATA_DIR`, that over the default. */
const settings = z.object({
  dataDir: z.string().default('.modelwright').describe('folder for everything that Modelwright keeps'),
  database: z
    .string()
    .default('')
    .refine((value) => value === '' || isPostgresUrl(value), 'it must be postgres://…')
    .describe('postgres://… where the metadata is kept; else SQLite in the data folder'),
  durability: z
    .enum(['full', 'normal'])
    .optional()
    .describe(
      'what acknowledged writes survive: a power loss (full, the default on PostgreSQL) or any death of processes (normal, the default on SQLite)',
    ),
  replica: z
    .string()
    .regex(/^[a-z0-9-]*$/)
    .default('')
    .describe('name of a further server on the same data folder and PostgreSQL database'),
  host: z.string().default('127.0.0.1').describe('address to listen on; beyond loopback every request needs a token'),
  port: z.coerce.number().int().min(0).max(65535).default(5000).describe("the server's port"),
  gatewayPort: z.coerce.number().int().min(0).max(65535).default(5001).describe("the gateway's port"),
  gateways: z.coerce
    .number()
    .int()
    .min(1)
    .max(64)
    .default(1)
    .describe(
      'processes of the gateway, which share its port, its memory and the limits of deployments; each holds its own copy of a model (Linux)',
    ),
  gatewayPatience: z
    .string()
    .default('60s')
    .refine((text) => (parseDuration(text) ?? 0) > 0, 'say a duration such as 60s or 5m')
    .describe('after how long a gateway that lives and answers nothing is ended and started again by `up`'),
  servingMemory: z
    .string()
    .default('60%')
    .refine(
      (text) => shareOfMachine(text) !== undefined || parseBytes(text) !== undefined,
      'say 4GB, or a share such as 60%',
    )
    .describe(
      'what all models of the gateway together may take in memory; a share is of what this machine or its container has',
    ),
  convert: z
    .enum(['auto', 'off'])
    .default('auto')
    .describe(
      'whether deployed versions of scikit-learn, XGBoost and LightGBM are computed as ONNX where that is proved to answer alike (auto), or as they are (off)',
    ),
  convertLimit: z
    .string()
    .default('5m')
    .refine((text) => parseDuration(text) !== undefined, 'say a duration such as 5m or 90s')
    .describe('how long a version may wait for its conversion before Python serves it'),
  explainRows: z.coerce
    .number()
    .int()
    .min(1)
    .default(1_000)
    .describe('rows that one request may ask the gateway to explain'),
  slots: z.coerce.number().int().min(1).default(availableParallelism()).describe('steps that may run at once'),
  stepLogLimit: z
    .string()
    .default('10GB')
    .refine((text) => parseBytes(text) !== undefined, 'say an amount such as 500MB or 10GB')
    .describe("how much of the disk one step's log may take; of what is more, the middle is given up"),
  dataLimit: z
    .string()
    .default('20GB')
    .refine((text) => parseBytes(text) !== undefined, 'say an amount such as 500MB or 20GB')
    .describe('how large a file may be that data: names by its address'),
  dataRoots: z
    .string()
    .default('')
    .refine(
      (text) => text.split(',').every((root) => root === '' || isAbsolute(root)),
      'say folders by their whole paths',
    )
    .describe('folders, separated by commas, in which data: may name files of this machine (file:///…)'),
  pricePerHour: z.coerce
    .number()
    .min(0)
    .default(0)
    .describe('what an hour of this machine costs; steps then tell what they cost, 0 tells nothing'),
  currency: z.string().max(20).default('EUR').describe('the currency of that price'),
  allowedHost: z
    .string()
    .default('')
    .describe(
      'further names, separated by commas, under which the server may be called, beside loopback and private addresses; * stands for anything',
    ),
  corsOrigin: z
    .string()
    .default('')
    .describe('origins (https://…), separated by commas, whose pages may use the API; * stands for anything'),
  requireLogin: z
    .union([z.boolean(), z.stringbool()])
    .default(false)
    .describe(
      "whether on loopback too every request to the server needs a user or a token; else MLflow's API and reading are open there without, also when there are users",
    ),
  defaultPermission: z
    .enum(['READ', 'USE', 'EDIT', 'MANAGE', 'NO_PERMISSIONS'])
    .default('READ')
    .describe(
      'what a user may do with an experiment or model that no permission speaks of (READ, USE, EDIT, MANAGE or NO_PERMISSIONS)',
    ),
  webhookSchemes: z
    .string()
    .default('https')
    .describe('schemes, separated by commas, that the address of a webhook may have'),
  webhookAllowPrivate: z
    .union([z.boolean(), z.stringbool()])
    .default(false)
    .describe('whether webhooks may lead to this machine and to private networks'),
  retention: z
    .string()
    .default('30d')
    .refine((text) => parseDuration(text) !== undefined, 'say a duration such as 30d, 12h or 90m')
    .describe('how long deleted experiments, runs and models can be restored before they go for good'),
  publicUrl: z.string().default('').describe('address of the server as others see it, for links'),
  logLevel: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('how much is logged'),
  clockFile: z
    .string()
    .default('')
    .describe('for rehearsals: a file whose number of milliseconds is added to the time'),
  uvCacheDir: z.string().default('').describe("folder of uv's cache, where it is to be shared"),
})

export type Settings = z.output<typeof settings>
export type SettingName = keyof Settings

export const settingDescriptions = Object.entries(settings.shape).map(([name, schema]) => ({
  name: name as SettingName,
  flag: `--${kebab(name)}`,
  variable: variableOf(name),
  description: schema.description ?? '',
}))

export type Config = Settings & {
  objectsDir: string
  gitDir: string
  workDir: string
  cachesDir: string
  runDir: string
  gatewayDir: string
  ownerTokenPath: string
  secretsKeyPath: string
  machineName: string
  loopback: boolean
  /** The address under which this machine itself reaches what listens on `host`. */
  localHost: string
  /** The process's own environment: read here and nowhere else. */
  environment: NodeJS.ProcessEnv
}

/** @throws AppError BadRequest naming the setting and what is allowed. */
export function readConfig(flags: Partial<Record<SettingName, unknown>>, environment: NodeJS.ProcessEnv): Config {
  const given: Record<string, unknown> = {}
  for (const { name, variable } of settingDescriptions) {
    const value = flags[name] ?? environment[variable]
    if (value !== undefined) given[name] = value
  }
  const parsed = settings.safeParse(given)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    const name = String(issue.path[0])
    throw new AppError(
      'BadRequest',
      `--${kebab(name)} (or ${variableOf(name)}) is ${JSON.stringify(given[name])}: ${issue.message}.`,
      '`modelwright server --help` lists the settings.',
    )
  }
  if (parsed.data.replica !== '' && parsed.data.database === '')
    throw new AppError(
      'BadRequest',
      `--replica ${parsed.data.replica} needs a database that several servers may use.`,
      'Name one with --database postgres://…; SQLite belongs to one server.',
    )
  if (parsed.data.gateways > 1 && parsed.data.gatewayPort === 0)
    throw new AppError(
      'BadRequest',
      `--gateways ${parsed.data.gateways} needs a port that they share; --gateway-port is 0.`,
      'Name one with --gateway-port.',
    )
  const dataDir = resolve(parsed.data.dataDir)
  return {
    ...parsed.data,
    dataDir,
    database: parsed.data.database || join(dataDir, 'modelwright.db'),
    objectsDir: join(dataDir, 'objects'),
    gitDir: join(dataDir, 'git'),
    workDir: join(dataDir, 'work'),
    cachesDir: join(dataDir, 'caches'),
    runDir: join(dataDir, 'run'),
    gatewayDir: join(dataDir, 'gateway'),
    ownerTokenPath: join(dataDir, 'keys', 'owner.token'),
    secretsKeyPath: join(dataDir, 'keys', 'secrets.key'),
    machineName: hostname(),
    localHost: localHostOf(parsed.data.host),
    loopback: ['127.0.0.1', 'localhost', '::1'].includes(parsed.data.host),
    environment,
  }
}

/** Bytes that models may take. A container's limit counts where it is below what the machine has. */
export function servingMemoryBytes({ servingMemory }: Pick<Settings, 'servingMemory'>): number {
  const share = shareOfMachine(servingMemory)
  if (share === undefined) return parseBytes(servingMemory)!
  const limit = process.constrainedMemory() || Number.POSITIVE_INFINITY
  return Math.floor(share * Math.min(totalmem(), limit))
}

/** Only where it is written with a percent sign: `1` is a byte. */
function shareOfMachine(text: string): number | undefined {
  const share = text.includes('%') ? parseShare(text) : undefined
  return share === 0 ? undefined : share
}

/** What listens on all addresses is reached on loopback. */
const localHostOf = (host: string): string => (host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host)

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

function variableOf(name: string): string {
  return `MODELWRIGHT_${kebab(name).replaceAll('-', '_').toUpperCase()}`
}

/** Settings of the machine that lead to package registries; steps and environment builds get them as they are. */
export function machineEnvironment(environment: NodeJS.ProcessEnv): Record<string, string> {
  const wanted = /^(PIP_|UV_|SSL_CERT_|REQUESTS_CA_BUNDLE$|CURL_CA_BUNDLE$|(HTTPS?|ALL|NO)_PROXY$)/i
  return Object.fromEntries(
    Object.entries(environment).filter(
      (entry): entry is [string, string] => wanted.test(entry[0]) && entry[1] !== undefined,
    ),
  )
}
