import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import packageFacts from '../../package.json' with { type: 'json' }
import { SystemClock } from '../adapters/clock/system/system-clock.ts'
import { UvEnvironments } from '../adapters/environments/uv/uv-environments.ts'
import { AppError, messageOf } from '../kernel/errors.ts'
import { findModel, type RunningServe, readMlmodel, runServe } from '../serving/serve/index.ts'
import { machineEnvironment } from './config.ts'

export type ServeSettings = {
  /** A path, `models:/…`, `runs:/…`; undefined in a container, where the model has its place. */
  model: string | undefined
  name?: string
  host?: string
  port?: number
  grpcPort?: number
  workers: number
  timeoutSeconds: number
  maxBodyBytes: number
  batchRows: number
  batchDelayMs: number
  threads?: number
  allowedHosts: readonly string[]
  python?: string
  envManager: 'local' | 'uv' | 'virtualenv'
  passEnv: readonly string[]
  /** Beyond loopback too, whoever reaches it may ask. */
  noAuth: boolean
}

export type ServeParts = {
  environment: NodeJS.ProcessEnv
  cwd: string
  /** The MLflow server to ask for registered models. */
  tracking: () => Promise<{ url: string; authorization?: string }>
  signal: AbortSignal
  say: (line: string) => void
}

export type Serving = RunningServe & { name: string; version: string; token?: string }

/** Where SageMaker puts the model, and where it asks. */
const container = { folder: '/opt/ml/model', host: '0.0.0.0', port: 8080 }

/** Serves one model from this process, without a server or a project. Ready when it returns. */
export async function startServing(settings: ServeSettings, parts: ServeParts): Promise<Serving> {
  const { environment, signal } = parts
  const scratch = mkdtempSync(join(tmpdir(), 'modelwright-serve-'))
  const clearUp = () => rmSync(scratch, { recursive: true, force: true })
  try {
    const place = placeOf(settings, environment)
    const plainPython = () => localPython(settings, environment)
    const found = await findModel(settings.model ?? container.folder, {
      tracking: parts.tracking,
      downloads: join(scratch, 'model'),
      cwd: parts.cwd,
      byMlflow: async (uri, folder) => downloadByMlflow(await plainPython(), uri, folder, environment),
    })
    const name = settings.name ?? found.name
    const token = place.isOpen ? undefined : (environment.MODELWRIGHT_TOKEN ?? randomBytes(24).toString('base64url'))
    const running = await runServe({
      modelPath: found.folder,
      name,
      version: found.version,
      host: place.host,
      port: place.port,
      ...(settings.grpcPort === undefined ? {} : { grpcPort: settings.grpcPort }),
      pythonPath: await pythonFor(settings, found.folder, parts),
      workerEnv: passedEnvironment(settings, environment),
      folder: join(scratch, 'work'),
      workers: settings.workers,
      timeoutMs: settings.timeoutSeconds * 1000,
      maxBodyBytes: settings.maxBodyBytes,
      batchRows: settings.batchRows,
      batchDelayMs: settings.batchDelayMs,
      ...(settings.threads === undefined ? {} : { threads: settings.threads }),
      allowedHosts: settings.allowedHosts,
      ...(token === undefined ? {} : { token }),
      serverVersion: packageFacts.version,
      log: quietLog(parts.say),
      clock: new SystemClock(),
      signal,
    })
    return {
      ...running,
      name,
      version: found.version,
      ...(token === undefined ? {} : { token }),
      finished: running.finished.finally(clearUp),
    }
  } catch (error) {
    clearUp()
    throw error
  }
}

function placeOf(settings: ServeSettings, environment: NodeJS.ProcessEnv) {
  const isContainer = settings.model === undefined
  const host = settings.host ?? (isContainer ? container.host : '127.0.0.1')
  const told = Number(environment.SAGEMAKER_BIND_TO_PORT)
  const port = settings.port ?? (isContainer ? told || container.port : 5000)
  // A container's network is closed by whoever runs it, and its caller has no token to show.
  const isOpen = settings.noAuth || isContainer || ['127.0.0.1', 'localhost', '::1'].includes(host)
  return { host, port, isOpen }
}

/** Problems are told as they come; that all is well is told once, by the command. */
export const quietLog = (say: (line: string) => void) => ({
  info: () => undefined,
  warn: (facts: object, text: string) => say(`${text}${'reason' in facts ? `: ${String(facts.reason)}` : ''}`),
  error: (_: object, text: string) => say(text),
})

export async function pythonFor(
  settings: Pick<ServeSettings, 'python' | 'envManager'>,
  folder: string,
  parts: ServeParts,
): Promise<string> {
  const mlmodel = readMlmodel(folder)
  // A graph is computed here; no Python takes part.
  if (mlmodel.onnxFile) return ''
  if (settings.envManager === 'local') return localPython(settings, parts.environment)
  const requirements = readFileSync(join(folder, 'requirements.txt'), 'utf8')
  const { environment } = parts
  const dataDir = cacheFolder(environment)
  const passEnv = {
    ...machineEnvironment(environment),
    PATH: environment.PATH ?? '/usr/bin:/bin',
    HOME: environment.HOME ?? dataDir,
  }
  const environments = new UvEnvironments({ dataDir, passEnv, installer: settings.envManager === 'uv' ? 'uv' : 'pip' })
  const minor = /^\d+\.\d+/.exec(mlmodel.pythonVersion ?? '')?.[0]
  parts.say('Making the Python environment that the model was saved with (once per list of packages) …')
  const lock = await environments.resolve(
    { requirements, ...(minor ? { pythonVersion: `${minor}.*` } : {}) },
    () => undefined,
    parts.signal,
  )
  return (await environments.ensure(lock, () => undefined, parts.signal)).pythonPath
}

export const cacheFolder = (environment: NodeJS.ProcessEnv): string =>
  join(environment.XDG_CACHE_HOME ?? join(environment.HOME ?? homedir(), '.cache'), 'modelwright')

/** The interpreter itself: what PATH names may be a script that needs a home, which a model does not get. */
export async function localPython(
  { python }: Pick<ServeSettings, 'python'>,
  environment: NodeJS.ProcessEnv,
): Promise<string> {
  const named = python ?? environment.MODELWRIGHT_PYTHON ?? 'python3'
  const asked = named.includes('/') ? resolve(named) : named
  try {
    const { stdout } = await promisify(execFile)(asked, ['-c', 'import sys; print(sys.executable)'], {
      env: environment,
    })
    return stdout.trim()
  } catch (cause) {
    throw new AppError(
      'ModelUnusable',
      `There is no Python at "${named}": ${messageOf(cause).slice(0, 300)}`,
      'Name one that has mlflow and what the model needs: --python, or MODELWRIGHT_PYTHON.',
      { cause },
    )
  }
}

export async function downloadByMlflow(
  python: string,
  uri: string,
  folder: string,
  environment: NodeJS.ProcessEnv,
): Promise<string> {
  const code =
    'import sys, mlflow; print(mlflow.artifacts.download_artifacts(artifact_uri=sys.argv[1], dst_path=sys.argv[2]))'
  try {
    const { stdout } = await promisify(execFile)(
      python,
      ['-c', `import os; os.makedirs(__import__('sys').argv[2], exist_ok=True); ${code}`, uri, folder],
      { env: environment },
    )
    return stdout.trim().split('\n').at(-1)!
  } catch (cause) {
    throw new AppError(
      'NotFound',
      `mlflow could not bring ${uri}: ${messageOf(cause).slice(-500)}`,
      'See that MLFLOW_TRACKING_URI and the credentials of the store are set.',
      { cause },
    )
  }
}

/** What a model's code sees: how this machine computes and reaches nothing secret. What it needs besides is named with --pass-env. */
const harmless = /^(OMP_|MKL_|OPENBLAS_|NUMEXPR_|KMP_|CUDA_|TZ$|LC_|LD_LIBRARY_PATH$|PYTHONPATH$|TMPDIR$)/

export function passedEnvironment(
  { passEnv }: Pick<ServeSettings, 'passEnv'>,
  environment: NodeJS.ProcessEnv,
): Record<string, string> {
  const passed = Object.entries(environment).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && (harmless.test(entry[0]) || passEnv.includes(entry[0])),
  )
  return { ...certificates(environment), ...Object.fromEntries(passed) }
}

const certificates = (environment: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(
    Object.entries(machineEnvironment(environment)).filter(([name]) => /^(SSL_CERT_|REQUESTS_CA)/.test(name)),
  )
