import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { UvEnvironments } from '../adapters/environments/uv/uv-environments.ts'
import { AppError, messageOf } from '../kernel/errors.ts'
import { findModel, readMlmodel } from '../serving/serve/index.ts'
import { machineEnvironment } from './config.ts'

/** What commands have that work on one model in this process. */
export type LocalModelParts = {
  environment: NodeJS.ProcessEnv
  cwd: string
  /** The MLflow server to ask for registered models. */
  tracking: () => Promise<{ url: string; authorization?: string }>
  signal: AbortSignal
  say: (line: string) => void
}

export type EnvManager = 'local' | 'uv' | 'virtualenv'

/** Which Python a command was told to use. */
export type PythonSettings = { python?: string; envManager: EnvManager }

/** The folder of a model that is named as MLflow names it. @param downloads an empty folder for what must be fetched */
export const findLocalModel = (
  what: string,
  downloads: string,
  settings: Pick<PythonSettings, 'python'>,
  { tracking, cwd, environment }: LocalModelParts,
) =>
  findModel(what, {
    tracking,
    downloads,
    cwd,
    byMlflow: async (uri, folder) =>
      downloadByMlflow(await localPython(settings, environment), uri, folder, environment),
  })

/** The interpreter that runs a model; none for a graph, which is computed here. */
export async function pythonFor(settings: PythonSettings, folder: string, parts: LocalModelParts): Promise<string> {
  if (readMlmodel(folder).onnxFile) return ''
  if (settings.envManager === 'local') return localPython(settings, parts.environment)
  parts.say('Making the Python environment that the model was saved with (once per list of packages) …')
  return environmentOf(folder, '', settings.envManager, parts)
}

/** An environment of the packages that a model was saved with, and further ones locked together with them: made once. */
export async function environmentOf(
  folder: string,
  further: string,
  installer: 'uv' | 'virtualenv',
  parts: Pick<LocalModelParts, 'environment' | 'signal'>,
): Promise<string> {
  const own = readFileSync(join(folder, 'requirements.txt'), 'utf8')
  const { environment, signal } = parts
  const dataDir = cacheFolder(environment)
  const passEnv = {
    ...machineEnvironment(environment),
    PATH: environment.PATH ?? '/usr/bin:/bin',
    HOME: environment.HOME ?? dataDir,
  }
  const environments = new UvEnvironments({ dataDir, passEnv, installer: installer === 'uv' ? 'uv' : 'pip' })
  const minor = /^\d+\.\d+/.exec(readMlmodel(folder).pythonVersion ?? '')?.[0]
  const lock = await environments.resolve(
    { requirements: further === '' ? own : `${own}\n${further}`, ...(minor ? { pythonVersion: `${minor}.*` } : {}) },
    () => undefined,
    signal,
  )
  return (await environments.ensure(lock, () => undefined, signal)).pythonPath
}

export const cacheFolder = (environment: NodeJS.ProcessEnv): string =>
  join(environment.XDG_CACHE_HOME ?? join(environment.HOME ?? homedir(), '.cache'), 'modelwright')

/** The interpreter itself: what PATH names may be a script that needs a home, which a model does not get. */
export async function localPython(
  { python }: Pick<PythonSettings, 'python'>,
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

async function downloadByMlflow(
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
  { passEnv }: { passEnv: readonly string[] },
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

/** Problems are told as they come; that all is well is told once, by the command. */
export const quietLog = (say: (line: string) => void) => ({
  info: () => undefined,
  warn: (facts: object, text: string) => say(`${text}${'reason' in facts ? `: ${String(facts.reason)}` : ''}`),
  error: (_: object, text: string) => say(text),
})
