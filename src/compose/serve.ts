import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import packageFacts from '../../package.json' with { type: 'json' }
import { SystemClock } from '../adapters/clock/system/system-clock.ts'
import { isAppError } from '../kernel/errors.ts'
import { type RunningServe, runServe, type ServeOptions } from '../serving/serve/index.ts'
import {
  findLocalModel,
  type LocalModelParts,
  type PythonSettings,
  passedEnvironment,
  pythonFor,
  quietLog,
} from './local-model.ts'
import { type ConvertWhen, servedForm } from './served-form.ts'

export type ServeSettings = PythonSettings & {
  /** A path, `models:/…`, `runs:/…`; undefined in a container, where the model has its place. */
  model: string | undefined
  name?: string
  host?: string
  port?: number
  grpcPort?: number
  workers: number
  spare: boolean
  network: boolean
  timeoutSeconds: number
  maxBodyBytes: number
  batchRows: number
  batchDelayMs: number
  threads?: number
  concurrency?: number
  explainRows?: number
  queue?: number
  allowedHosts: readonly string[]
  passEnv: readonly string[]
  convert: ConvertWhen
  /** Beyond loopback too, whoever reaches it may ask. */
  noAuth: boolean
}

export type Serving = RunningServe & { name: string; version: string; token?: string }

/** Where SageMaker puts the model, and where it asks. */
const container = { folder: '/opt/ml/model', host: '0.0.0.0', port: 8080 }

/** Serves one model from this process, without a server or a project. Ready when it returns. */
export async function startServing(settings: ServeSettings, parts: LocalModelParts): Promise<Serving> {
  const { environment, signal } = parts
  const scratch = mkdtempSync(join(tmpdir(), 'modelwright-serve-'))
  const clearUp = () => rmSync(scratch, { recursive: true, force: true })
  try {
    const place = placeOf(settings, environment)
    const found = await findLocalModel(settings.model ?? container.folder, join(scratch, 'model'), settings, parts)
    const clock = new SystemClock()
    const name = settings.name ?? found.name
    const token = place.isOpen ? undefined : (environment.MODELWRIGHT_TOKEN ?? randomBytes(24).toString('base64url'))
    const options: Omit<ServeOptions, 'pythonPath'> = {
      modelPath: found.folder,
      name,
      version: found.version,
      host: place.host,
      port: place.port,
      ...(settings.grpcPort === undefined ? {} : { grpcPort: settings.grpcPort }),
      workerEnv: passedEnvironment(settings, environment),
      folder: join(scratch, 'work'),
      workers: settings.workers,
      spare: settings.spare,
      network: settings.network,
      timeoutMs: settings.timeoutSeconds * 1000,
      maxBodyBytes: settings.maxBodyBytes,
      batchRows: settings.batchRows,
      batchDelayMs: settings.batchDelayMs,
      ...(settings.threads === undefined ? {} : { threads: settings.threads }),
      ...(settings.concurrency === undefined ? {} : { concurrency: settings.concurrency }),
      ...(settings.queue === undefined ? {} : { queue: settings.queue }),
      ...(settings.explainRows === undefined ? {} : { explainRows: settings.explainRows }),
      allowedHosts: settings.allowedHosts,
      ...(token === undefined ? {} : { token }),
      serverVersion: packageFacts.version,
      log: quietLog(parts.say),
      clock,
      signal,
    }
    const running = await servedInItsForm(options, settings, parts)
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

async function servedInItsForm(
  options: Omit<ServeOptions, 'pythonPath'>,
  settings: ServeSettings,
  parts: LocalModelParts,
): Promise<RunningServe> {
  const { graphPath, graphLater, forget } = await servedForm(options.modelPath, settings, parts, options.clock)
  if (graphPath === undefined) {
    const pythonPath = await pythonFor(settings, options.modelPath, parts)
    return runServe({ ...options, pythonPath, ...(graphLater ? { graphLater } : {}) })
  }
  try {
    return await runServe({ ...options, pythonPath: '', graphPath })
  } catch (error) {
    if (forget === undefined || !isAppError(error, 'ModelUnusable') || parts.signal.aborted) throw error
    parts.say(`The conversion at ${graphPath} cannot be used; it is made again. ${error.message}`)
    await forget()
    return servedInItsForm(options, settings, parts)
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
