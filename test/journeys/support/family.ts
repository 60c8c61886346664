import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { FileTurnedClock } from '../../../src/adapters/clock/turnable/file-turned-clock.ts'
import { type Client, createClient } from '../../../src/kernel/client.ts'
import { freePorts } from '../../support/free-ports.ts'
import { eventually } from './eventually.ts'

const program = fileURLToPath(new URL('../../../src/main.ts', import.meta.url))
const readyWithinMs = 180_000
const endWithinMs = 30_000

/** Server and gateway as `modelwright up` starts them, on a data folder of their own, with a clock that the test turns. */
export class Family {
  readonly folder: string
  readonly dataDir: string
  readonly url: string
  readonly gatewayUrl: string
  readonly clock: FileTurnedClock
  token = ''
  client: Client
  readonly #supervisor: ChildProcess
  readonly #watchdog: ChildProcess
  #said = ''

  private constructor(folder: string, port: number, gatewayPort: number, settings: readonly string[]) {
    this.folder = folder
    this.dataDir = join(folder, 'data')
    this.url = `http://127.0.0.1:${port}`
    this.gatewayUrl = `http://127.0.0.1:${gatewayPort}`
    this.client = createClient({ baseUrl: this.url })
    const clockFile = join(folder, 'clock')
    this.clock = new FileTurnedClock(clockFile)
    const words = ['up', '--data-dir', this.dataDir, '--port', port, '--gateway-port', gatewayPort]
    this.#supervisor = spawn(
      process.execPath,
      [...nodeFlags, program, ...words.map(String), '--clock-file', clockFile, '--log-level', 'info', ...settings],
      { cwd: folder, env: processEnvironment(folder), stdio: ['ignore', 'pipe', 'pipe'] },
    )
    this.#watchdog = watchdogOf(this.#supervisor)
    for (const stream of [this.#supervisor.stdout!, this.#supervisor.stderr!])
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#said += text
      })
  }

  static async start(settings: readonly string[] = []): Promise<Family> {
    const folder = await mkdtemp(join(tmpdir(), 'modelwright-journey-'))
    const [port, gatewayPort] = await freePorts(2)
    const family = new Family(folder, port!, gatewayPort!, settings)
    try {
      await family.#ready()
    } catch (error) {
      await family.stop()
      throw error
    }
    return family
  }

  async #ready(): Promise<void> {
    const ownerToken = join(this.dataDir, 'keys', 'owner.token')
    await eventually('server and gateway answer', {
      look: async () =>
        existsSync(ownerToken) && (await answers(`${this.url}/health`)) && (await answers(`${this.gatewayUrl}/health`)),
      explain: () => this.explain(),
      withinMs: readyWithinMs,
    })
    this.token = (await readFile(ownerToken, 'utf8')).trim()
    this.client = createClient({ baseUrl: this.url, token: this.token })
  }

  /** A client with another token, or with none. */
  as(token: string | undefined): Client {
    return createClient({ baseUrl: this.url, ...(token ? { token } : {}) })
  }

  remoteOf(project: string): string {
    return `${this.url.replace('//', `//x:${this.token}@`)}/git/${project}.git`
  }

  /** The CLI as a user calls it in a folder. */
  cli(cwd: string, ...words: string[]): Promise<{ code: number; out: string; err: string }> {
    const child = spawn(process.execPath, [...nodeFlags, program, '--data-dir', this.dataDir, ...words], {
      cwd,
      env: processEnvironment(this.folder),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const said = { out: '', err: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said.out += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said.err += text
    })
    return new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => resolve({ code: code ?? -1, ...said }))
    })
  }

  /** What the processes said, for a failure's message. */
  async explain(): Promise<string> {
    const logs = await Promise.all(
      ['server', 'gateway'].map(async (name) => {
        const text = await readFile(join(this.dataDir, 'logs', `${name}.log`), 'utf8').catch(() => '')
        return `── ${name}.log\n${text.slice(-4000)}`
      }),
    )
    return [...logs, `── supervisor\n${this.#said.slice(-1000)}`].join('\n')
  }

  /** Ends everything and removes it; nothing outlives a test, however it went. */
  async stop(): Promise<void> {
    const { exitCode, signalCode } = this.#supervisor
    if (exitCode === null && signalCode === null) {
      const gone = new Promise((resolve) => this.#supervisor.once('exit', resolve))
      this.#supervisor.kill('SIGTERM')
      await Promise.race([gone, sleep(endWithinMs, undefined, { ref: false })])
    }
    this.#supervisor.kill('SIGKILL')
    this.#watchdog.stdin!.end('done\n')
    for (const pid of await processesOf(this.folder)) tryKill(pid)
    await rm(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}

const nodeFlags = ['--disable-warning=ExperimentalWarning']

/** Ends the family when this process is gone without having ended it: its end of the pipe closes however it dies. */
const watchdogOf = ({ pid }: ChildProcess): ChildProcess =>
  spawn('/bin/sh', ['-c', 'read -r word || kill -TERM "$0"', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })

/** Without the settings of whoever runs the tests, except for where packages come from. */
function processEnvironment(folder: string): NodeJS.ProcessEnv {
  const foreign = /^(MODELWRIGHT_(?!UV_CACHE_DIR$)|MLFLOW_|VITEST|GIT_|NODE_OPTIONS$|NODE_ENV$)/
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)))
  // A person's own commands do not come to a test's server, and one test's not to another's.
  // No converter's environment is made unless a test asks for it with --convert auto.
  return { ...env, XDG_STATE_HOME: join(folder, 'state'), MODELWRIGHT_CONVERT: 'off' }
}

/** Processes whose command line, folder or step mark lies in the folder. */
export async function processesOf(folder: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const found = await Promise.all(
    pids.map(async (pid) => {
      if (pid === process.pid) return false
      const facts = await Promise.all([
        readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
        readFile(`/proc/${pid}/environ`, 'utf8').catch(() => ''),
        readlink(`/proc/${pid}/cwd`).catch(() => ''),
      ])
      return facts.some((text) => text.includes(folder))
    }),
  )
  return pids.filter((_, index) => found[index])
}

function tryKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself.
  }
}

const answers = async (url: string): Promise<boolean> => (await fetch(url).catch(() => undefined))?.ok === true
