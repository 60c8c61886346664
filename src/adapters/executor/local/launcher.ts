import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { AppError, bug } from '../../../kernel/errors.ts'
import type { VeilDrawn, VeilMeans } from './veil.ts'

/** What the runner of a step is told; see python/launcher/modelwright_launcher.py. */
export type LaunchRequest = {
  journal: string
  log: string
  cwd: string
  command: string
  env: Record<string, string>
  /** Files to which it writes itself, to be held to the limits of a control group. */
  groups: string[]
  addressSpaceBytes?: number
  veil?: VeilDrawn
}

/** `died`: the launcher is gone, and no record will come of what was asked. */
export type Launched =
  | { outcome: 'started'; pid: number; gone: Promise<void> }
  | { outcome: 'refused'; errno: number; why: string }
  | { outcome: 'died' }

export type VeilFound = VeilMeans | { why: string }

type Waiting = { resolve: (launched: Launched) => void; gone: PromiseWithResolvers<void> }
type Running = {
  child: ChildProcess
  /** Undefined where it died first. */
  veil: PromiseWithResolvers<VeilFound | undefined>
  waiting: Map<number, Waiting>
  started: Map<number, () => void>
}

/** Those of the system begin faster than one behind a shim. */
const usualPythons = ['/usr/bin/python3', '/usr/local/bin/python3']

/**
 * The process that begins steps: this one, with its hundreds of megabytes, would take milliseconds for each fork, and then once more for
 * each page that it touches. Begun at the first need, again when it died, gone with this process.
 */
export class Launcher {
  readonly #script: string
  readonly #python: string
  #running: Running | undefined
  #veil: VeilFound | undefined
  #last = 0
  #holds = 0

  constructor(script: string) {
    this.#script = script
    this.#python = usualPythons.find((path) => existsSync(path)) ?? 'python3'
  }

  get words(): string[] {
    return [this.#python, '-I', '-S', this.#script]
  }

  /** @throws AppError PythonMissing */
  async launch(request: LaunchRequest): Promise<Launched> {
    const running = await this.#process()
    const id = ++this.#last
    const gone = Promise.withResolvers<void>()
    const launched = new Promise<Launched>((resolve) => running.waiting.set(id, { resolve, gone }))
    running.child.stdin!.write(`${JSON.stringify({ id, ...request })}\n`)
    return this.whileHeld(launched)
  }

  /** What it can hide from a command: it tries that by itself when it begins. @throws AppError PythonMissing */
  async veil(): Promise<VeilFound> {
    for (let tries = 0; !this.#veil && tries < 2; tries++)
      this.#veil = await this.whileHeld((await this.#process()).veil.promise)
    if (this.#veil) return this.#veil
    throw bug('The process that begins steps died twice while it began.')
  }

  /** Only somebody's wait keeps this process alive for what runs; else the server could not leave while steps run. */
  async whileHeld<T>(waited: Promise<T>): Promise<T> {
    this.#holds++
    this.#hold()
    try {
      return await waited
    } finally {
      this.#holds--
      this.#hold()
    }
  }

  #hold(): void {
    const { child } = this.#running ?? {}
    if (!child) return
    for (const one of [child, child.stdin as Socket, child.stdout as Socket]) this.#holds > 0 ? one.ref() : one.unref()
  }

  async #process(): Promise<Running> {
    if (this.#running) return this.#running
    const [python, ...args] = this.words
    // A session of its own: out of reach of the terminal's Ctrl-C.
    const child = spawn(python!, args, { detached: true, stdio: ['pipe', 'pipe', 'inherit'], env: {}, cwd: '/' })
    const running: Running = { child, veil: Promise.withResolvers(), waiting: new Map(), started: new Map() }
    this.#running = running
    child.stdin.on('error', () => undefined)
    createInterface({ input: child.stdout }).on('line', (line) => take(running, line))
    // Runners hold their end of it until their record stands: after the end of it nothing more begins.
    child.stdout.once('close', () => this.#over(running))
    if (child.pid === undefined) throw this.#missing(await once(child, 'error').then(([error]) => error as Error))
    child.once('exit', () => {
      if (this.#running === running) this.#running = undefined
    })
    this.#hold()
    return running
  }

  #over(running: Running): void {
    if (this.#running === running) this.#running = undefined
    running.veil.resolve(undefined)
    for (const { resolve } of running.waiting.values()) resolve({ outcome: 'died' })
    for (const tell of running.started.values()) tell()
  }

  #missing(cause: Error): AppError {
    this.#running = undefined
    return new AppError(
      'PythonMissing',
      `No step can be begun: ${this.#python} cannot be run (${cause.message}).`,
      'Install Python 3, which begins steps and runs models.',
      { cause },
    )
  }
}

function take({ veil, waiting, started }: Running, line: string): void {
  const [word, number, ...rest] = line.split(' ')
  const id = Number(number)
  const one = waiting.get(id)
  waiting.delete(id)
  switch (word) {
    case 'veil':
      veil.resolve(JSON.parse(line.slice('veil '.length)) as VeilFound)
      break
    case 'started':
      started.set(id, one!.gone.resolve)
      one!.resolve({ outcome: 'started', pid: Number(rest[0]), gone: one!.gone.promise })
      break
    case 'refused':
      one?.resolve({ outcome: 'refused', errno: Number(rest[0]), why: rest.slice(1).join(' ') })
      break
    case 'gone':
      started.get(id)?.()
      started.delete(id)
      one?.resolve({ outcome: 'refused', errno: 0, why: 'its runner ended without a record' })
  }
}
