import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { AppError } from '../../kernel/errors.ts'
import { converterScript } from '../python-folder.ts'
import { type Conversion, parseConversion } from './conversion.ts'

export type ConvertRequest = {
  /** An MLflow model folder of scikit-learn, XGBoost or LightGBM. */
  model: string
  /** Where the converted one shall lie; not there yet. */
  output: string
  /** A .csv, .tsv or .parquet file of real rows; else the model's input example. */
  rows?: string
  /** Further .csv, .tsv and .parquet files, of which those are compared on that hold the model's columns. */
  data?: readonly string[]
  tolerance: number
  /** Leaves a classifier's probabilities out, once they are proved: it answers what the original answers, and no more. */
  answerOnly?: boolean
}

export type ConvertParts = {
  /** Has what the model needs, and the converters. */
  pythonPath: string
  /** What the model's code sees of the environment besides PATH and HOME. */
  env: Record<string, string>
  /** Its own, empty. */
  scratch: string
  signal: AbortSignal
  /** Takes of the machine what others leave: a model is being served beside it. */
  inBackground?: boolean
}

const told = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), record: z.unknown() }),
  z.object({
    ok: z.literal(false),
    kind: z.enum(['unsupported', 'rows', 'parity', 'packages']),
    message: z.string(),
  }),
])
type Refused = Extract<z.output<typeof told>, { ok: false }>

/**
 * Writes the model's ONNX form, once it is proved that both answer alike; the folder appears whole or not at all.
 * @throws AppError ConversionRefused, with why: Unconvertible, where that lies in the model
 */
export async function convertModel(request: ConvertRequest, parts: ConvertParts): Promise<Conversion> {
  const asked = join(parts.scratch, 'request.json')
  const answered = join(parts.scratch, 'result.json')
  const home = join(parts.scratch, 'home')
  mkdirSync(home, { recursive: true, mode: 0o700 })
  writeFileSync(asked, JSON.stringify({ ...request, rows: request.rows ?? null }))
  const { words, how } = await run([converterScript(), asked, answered], home, parts)
  const result = readResult(answered)
  if (result?.ok) return parseConversion(result.record)
  rmSync(request.output, { recursive: true, force: true })
  if (result) throw refusal(result)
  throw new AppError(
    'ConversionRefused',
    `The converter ended without a result (${how}): ${words.trim().split('\n').slice(-5).join('\n').slice(-1500)}`,
    'See that its Python has what the model needs, and the packages of python/converter/requirements.in.',
  )
}

function readResult(path: string): z.output<typeof told> | undefined {
  try {
    return told.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return undefined
  }
}

const nextOf: Record<Refused['kind'], string> = {
  unsupported: 'Serve it as it is: Python computes it.',
  rows: 'Name real rows with --rows FILE, or save the model with an input_example.',
  parity: 'Serve it as it is: Python computes it. A larger --tolerance is only for values that may differ so much.',
  packages: 'Name a Python that has the packages with --python, or let one be made (--env-manager uv).',
}

/** The model itself cannot be converted: asked again, it is refused again. */
export class Unconvertible extends AppError {}

function refusal({ kind, message }: Refused): AppError {
  if (kind === 'packages')
    return new AppError('ConversionRefused', `The converter lacks a package: ${message}.`, nextOf.packages)
  return new Unconvertible('ConversionRefused', `The model is not converted: ${message}`, nextOf[kind])
}

/** The model's code runs in it: it sees no secret. */
function run(words: readonly string[], home: string, { pythonPath, env, signal, inBackground }: ConvertParts) {
  return new Promise<{ words: string; how: string }>((resolve, reject) => {
    const child = spawn(pythonPath, ['-W', 'ignore', ...words], {
      cwd: home,
      env: {
        PATH: `${dirname(pythonPath)}:/usr/local/bin:/usr/bin:/bin`,
        HOME: home,
        LANG: 'C.UTF-8',
        PYTHONHASHSEED: '0',
        PYTHONDONTWRITEBYTECODE: '1',
        MLFLOW_TRACKING_URI: 'file:///nonexistent',
        MLFLOW_DISABLE_TELEMETRY: 'true',
        ORT_DISABLE_TELEMETRY: '1',
        GIT_PYTHON_REFRESH: 'quiet',
        ...env,
      },
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    })
    if (inBackground && child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_BELOW_NORMAL)
    const end = () => killGroup(child.pid)
    signal.addEventListener('abort', end, { once: true })
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-20_000)
    })
    child.once('error', (cause) =>
      reject(
        new AppError(
          'ConversionRefused',
          `Python cannot be started (${pythonPath}): ${cause.message}`,
          nextOf.packages,
          {
            cause,
          },
        ),
      ),
    )
    child.once('close', (code, killed) => {
      signal.removeEventListener('abort', end)
      killGroup(child.pid)
      resolve({ words: said, how: killed ? `killed by ${killed}` : `exit code ${code}` })
    })
  })
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Gone already.
  }
}
