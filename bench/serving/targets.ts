import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { digestOf } from '../../src/kernel/digest.ts'
import { freePort, root } from '../support/family.ts'
import { programsOf } from './python-environments.ts'

export type Server = { url: string; pid: number; end: () => Promise<void> }

type Command = { program: string; words: string[]; env?: Record<string, string>; cwd?: string; ready: string }

/** `protocol`: in which form it is asked. */
export type Target = {
  name: string
  model: 'boosting' | 'iris'
  protocol: 'mlflow' | 'oip'
  path: string
  start: (port: number) => Command | Promise<Command>
}

const here = dirname(fileURLToPath(import.meta.url))
const main = [process.execPath, '--disable-warning=ExperimentalWarning', join(root, 'src', 'main.ts')] as const
const quiet = {
  MLFLOW_DISABLE_TELEMETRY: 'true',
  GIT_PYTHON_REFRESH: 'quiet',
  ORT_DISABLE_TELEMETRY: '1',
  DO_NOT_TRACK: 'true',
}

/** What can be measured here. @param folder holds the models of make_models.py and `converted`, the ONNX form of boosting */
export function targets(folder: string, say: (line: string) => void): Target[] {
  const python = programsOf('python', say)
  const mlserver = programsOf('mlserver', say)
  if (!python) throw new Error('Without the Python environment there is no model to serve.')
  const graph = join(folder, 'converted', 'model.onnx')
  const serve = (model: string, port: number, ...more: string[]) => ({
    program: main[0],
    words: [...main.slice(1), 'serve', join(folder, model), '--port', String(port), '--name', 'm', ...more],
    ready: '/ping',
  })
  const interpreter = join(python, 'python')
  const byPython = ['--python', interpreter, '--convert', 'off']
  const api = (env: Record<string, string>) => (port: number) => ({
    program: join(python, 'uvicorn'),
    words: ['fastapi_app:app', '--port', String(port), '--no-access-log', '--log-level', 'warning'],
    env,
    cwd: here,
    ready: '/health',
  })
  const invocations = { protocol: 'mlflow', path: '/invocations' } as const
  const oip = { protocol: 'oip', path: '/v2/models/m/infer' } as const
  const mlflow = (model: string) => (port: number) => ({
    program: join(python, 'mlflow'),
    words: ['models', 'serve', '-m', join(folder, model), '-p', String(port), '-w', '1', '--env-manager', 'local'],
    env: { PATH: `${python}:${process.env.PATH}` },
    ready: '/ping',
  })
  const boosting: Target[] = [
    { name: 'ours, gateway, ONNX, log on', model: 'boosting', ...invocations, start: (port) => gateway(folder, port) },
    { name: 'ours, serve, ONNX', model: 'boosting', ...invocations, start: (port) => serve('converted', port) },
    { name: 'ours, serve, ONNX, OIP', model: 'boosting', ...oip, start: (port) => serve('converted', port) },
    {
      name: 'ours, serve, Python',
      model: 'boosting',
      ...invocations,
      start: (port) => serve('boosting', port, ...byPython),
    },
    {
      name: 'FastAPI, scikit-learn',
      model: 'boosting',
      ...invocations,
      start: api({ SKLEARN: join(folder, 'boosting.joblib') }),
    },
    { name: 'FastAPI, ONNX', model: 'boosting', ...invocations, start: api({ ONNX: graph }) },
    { name: 'mlflow models serve', model: 'boosting', ...invocations, start: mlflow('boosting') },
    {
      name: 'bare node:http and ONNX Runtime',
      model: 'boosting',
      ...invocations,
      start: (port) => ({
        program: process.execPath,
        words: [join(here, 'bare-server.mjs'), graph, String(port)],
        ready: '/health',
      }),
    },
  ]
  const iris: Target[] = [
    { name: 'ours, serve, Python', model: 'iris', ...oip, start: (port) => serve('iris', port, ...byPython) },
    { name: 'mlflow models serve', model: 'iris', ...invocations, start: mlflow('iris') },
  ]
  if (!mlserver) return [...boosting, ...iris]
  const serverOf = (settings: object) => (port: number) => mlserverOf(folder, mlserver, port, settings)
  return [
    ...boosting,
    {
      name: 'MLServer, scikit-learn',
      model: 'boosting',
      ...oip,
      start: serverOf({
        implementation: 'mlserver_sklearn.SKLearnModel',
        parameters: { uri: join(folder, 'boosting.joblib') },
      }),
    },
    ...iris,
    {
      name: 'MLServer, MLflow',
      model: 'iris',
      ...oip,
      start: serverOf({ implementation: 'mlserver_mlflow.MLflowRuntime', parameters: { uri: join(folder, 'iris') } }),
    },
  ]
}

/** The data plane alone, as `modelwright up` runs it, with its journal of predictions. */
function gateway(folder: string, port: number) {
  const dataDir = join(folder, `gateway-${port}`)
  mkdirSync(join(dataDir, 'gateway'), { recursive: true })
  const target = {
    model: 'm',
    version: 1,
    digest: digestOf('converted'),
    modelPath: join(folder, 'converted'),
    pythonPath: 'none',
    inputs: { columns: [], checks: [] },
  }
  const desired = {
    revision: 1,
    endpoints: [{ project: 'p', environment: 'e', model: 'm', versions: [{ target, weight: 1 }] }],
  }
  writeFileSync(join(dataDir, 'gateway', 'desired.json'), JSON.stringify(desired))
  const settings = ['--data-dir', dataDir, '--gateway-port', String(port), '--log-level', 'warn']
  return { program: main[0], words: [...main.slice(1), 'gateway', ...settings], ready: '/ping' }
}

/** In the process that answers: `parallel_workers` would add the cost of handing over. */
async function mlserverOf(folder: string, programs: string, port: number, model: object): Promise<Command> {
  const cwd = join(folder, `mlserver-${port}`)
  mkdirSync(cwd, { recursive: true })
  const settings = {
    debug: false,
    host: '127.0.0.1',
    http_port: port,
    grpc_port: await freePort(),
    metrics_port: await freePort(),
    parallel_workers: 0,
  }
  writeFileSync(join(cwd, 'settings.json'), JSON.stringify(settings))
  writeFileSync(join(cwd, 'model-settings.json'), JSON.stringify({ name: 'm', ...model }))
  return { program: join(programs, 'mlserver'), words: ['start', cwd], cwd, ready: '/v2/models/m/ready' }
}

export async function started(target: Target): Promise<Server> {
  const port = await freePort()
  const { program, words, env = {}, cwd = root, ready } = await target.start(port)
  const child = spawn(program, words, {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
    cwd,
    env: { ...process.env, ...quiet, ...env },
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2_000)
  })
  const url = `http://127.0.0.1:${port}`
  while (!(await isReady(`${url}${ready}`))) {
    if (child.exitCode !== null) throw new Error(`${target.name} ended with ${child.exitCode}: ${said}`)
    await sleep(100)
  }
  return { url, pid: child.pid!, end: () => endGroup(child) }
}

const isReady = (url: string): Promise<boolean> =>
  fetch(url).then(
    ({ ok }) => ok,
    () => false,
  )

async function endGroup(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve))
  process.kill(-child.pid!, 'SIGTERM')
  await Promise.race([ended, sleep(10_000)])
  try {
    process.kill(-child.pid!, 'SIGKILL')
  } catch {
    // All of them are gone.
  }
}

/** What the machine is busy with, over the last minute: figures beside other work are no results. */
export const loadAverage = (): number => Number(readFileSync('/proc/loadavg', 'utf8').split(' ')[0])
