import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../support/free-ports.ts'
import { killHard } from './kill.ts'

const program = fileURLToPath(new URL('../../../src/main.ts', import.meta.url))

/** `modelwright server` as a user starts it, on a port of its own that stays the same over restarts. */
export class ServerProcess {
  readonly url: string
  readonly #words: string[]
  #child: ChildProcess | undefined

  private constructor(port: number, words: string[]) {
    this.url = `http://127.0.0.1:${port}`
    this.#words = ['server', '--port', String(port), '--log-level', 'error', ...words]
  }

  static async on(dataDir: string, words: string[] = []): Promise<ServerProcess> {
    return new ServerProcess(await freePort(), ['--data', dataDir, ...words])
  }

  get pid(): number {
    return this.#child!.pid!
  }

  start(): void {
    this.#child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, ...this.#words], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  }

  async ready(): Promise<void> {
    for (let attempt = 0; attempt < 3_600; attempt++) {
      if (this.#child?.exitCode != null) throw new Error(`the server ended with ${this.#child.exitCode}`)
      if (
        await fetch(`${this.url}/health`).then(
          (answer) => answer.ok,
          () => false,
        )
      )
        return
      await sleep(50)
    }
    throw new Error('the server does not answer')
  }

  async kill(): Promise<void> {
    if (this.#child?.exitCode === null) await killHard(this.#child.pid!)
  }

  async stop(): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    await ended
  }
}
