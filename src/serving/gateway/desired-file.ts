import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { replaceFile } from '../../files/replace-file.ts'
import { type Digest, isDigest } from '../../kernel/digest.ts'
import { messageOf } from '../../kernel/errors.ts'
import { endpointName } from '../decide/endpoint-name.ts'
import type { GatewayDesired } from '../gateway-state.ts'

const digest = z.custom<Digest>((text) => typeof text === 'string' && isDigest(text), 'not a digest sha256:…')
const name = z.string().regex(/^[A-Za-z0-9][\w.-]{0,199}$/, 'not a name of letters, digits, "_", "." and "-"')
const share = z.number().min(0).max(1)

const inputContract = z.object({
  columns: z.array(z.object({ name: z.string(), type: z.string(), required: z.boolean() })),
  checks: z.array(
    z.object({
      column: z.string(),
      type: z.enum(['number', 'integer', 'string', 'boolean']).optional(),
      range: z.tuple([z.number().nullable(), z.number().nullable()]).optional(),
      values: z.array(z.union([z.string(), z.number(), z.boolean()])).optional(),
      regex: z.string().optional(),
      mayBeMissing: z.boolean(),
    }),
  ),
  key: z.string().optional(),
})

const servePolicy = z.object({
  concurrency: z.int().min(1).optional(),
  queue: z.int().min(0).optional(),
  workers: z.int().min(1).optional(),
  spare: z.boolean().optional(),
  network: z.boolean().optional(),
  memoryBytes: z.number().positive().optional(),
  deadlineMs: z.number().positive().optional(),
  swap: z.enum(['auto', 'surge', 'hold']).optional(),
  idleMs: z.number().positive().optional(),
})

const inputPolicy = z.object({
  onFailure: z.enum(['reject', 'warn', 'impute']),
  impute: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
})

const logPolicy = z.object({
  sample: share,
  fields: z.array(z.string()).optional(),
  hash: z.array(z.string()),
  keepMs: z.number().positive().optional(),
  subject: z.string().optional(),
})

const endpoint = z
  .object({
    project: name,
    environment: name,
    model: z.string().min(1),
    versions: z.array(
      z.object({
        target: z.object({
          model: z.string().min(1),
          version: z.int().min(0).max(0xffffffff),
          digest,
          modelPath: z.string().min(1),
          graphPath: z.string().min(1).optional(),
          pythonPath: z.string().min(1),
          inputs: inputContract,
        }),
        weight: share,
      }),
    ),
    guard: z
      .object({
        newcomer: digest,
        minRequests: z.int().min(0),
        maxErrorRate: share.optional(),
        maxInputFailureRate: share.optional(),
      })
      .optional(),
    serve: servePolicy.optional(),
    inputs: inputPolicy.optional(),
    log: logPolicy.optional(),
  })
  .refine(
    ({ versions }) => versions.length === 0 || Math.abs(versions.reduce((sum, one) => sum + one.weight, 0) - 1) < 1e-6,
    {
      error: 'the weights do not add up to 1',
      path: ['versions'],
    },
  )
  .refine(({ versions }) => new Set(versions.map((one) => one.target.digest)).size === versions.length, {
    error: 'a version is named twice',
    path: ['versions'],
  })

const gatewayDesired: z.ZodType<GatewayDesired> = z
  .object({ revision: z.int(), endpoints: z.array(endpoint) })
  .refine(({ endpoints }) => new Set(endpoints.map(endpointName)).size === endpoints.length, {
    error: 'an endpoint is named twice',
    path: ['endpoints'],
  })

export type DesiredReading =
  | { kind: 'unchanged' | 'absent' }
  | { kind: 'read'; desired: GatewayDesired }
  | { kind: 'broken'; problem: string }

/** `desired.json` in the gateway's folder, and a copy of the last one that could be read, for a start while it cannot. */
export class DesiredFile {
  readonly #path: string
  readonly #copy: string
  #seen = ''

  constructor(folder: string) {
    this.#path = join(folder, 'desired.json')
    this.#copy = join(folder, 'desired.last-good.json')
  }

  /** What stands there now, once per change. */
  async read(): Promise<DesiredReading> {
    const facts = await stat(this.#path).catch(() => undefined)
    const seen = facts ? `${facts.ino}:${facts.size}:${facts.mtimeMs}` : 'absent'
    if (seen === this.#seen) return { kind: 'unchanged' }
    this.#seen = seen
    if (!facts) return { kind: 'absent' }
    const reading = await readDesired(this.#path)
    if (reading.kind === 'read') await this.#keepCopy(reading.desired)
    return reading
  }

  async lastGood(): Promise<GatewayDesired | undefined> {
    const reading = await readDesired(this.#copy)
    return reading.kind === 'read' ? reading.desired : undefined
  }

  async #keepCopy(desired: GatewayDesired): Promise<void> {
    try {
      await replaceFile(this.#copy, JSON.stringify(desired))
    } catch {
      // A full disk: the copy is older then, what is served is not.
    }
  }
}

async function readDesired(path: string): Promise<DesiredReading> {
  try {
    const parsed = gatewayDesired.safeParse(JSON.parse(await readFile(path, 'utf8')))
    if (parsed.success) return { kind: 'read', desired: parsed.data }
    return { kind: 'broken', problem: `${path}: ${problemsOf(parsed.error)}` }
  } catch (error) {
    return { kind: 'broken', problem: `${path}: ${messageOf(error)}` }
  }
}

const problemsOf = (error: z.ZodError): string =>
  error.issues
    .slice(0, 3)
    .map((issue) => `${issue.path.join('.') || 'the file'}: ${issue.message}`)
    .join('; ')
