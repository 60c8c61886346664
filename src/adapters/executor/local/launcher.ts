import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
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

/** `noRoom`: it could not be tried, and the process that was to try it has ended. */
type VeilTried = VeilFound | { noRoom: string }

type Waiting = { resolve: (launched: Launched) => void; gone: PromiseWithResolvers<void> }
type Running = {
  child: ChildProcess
  /** Undefined where it died first. */
  veil: PromiseWithResolvers<VeilTried | undefined>
  waiting: Map<number, Waiting>
  started: Map<number, () => void>
}

/** The stream on which runners say that they ended. */
const endings = 3

/** Those of the system begin faster than one behind a shim. */
const usualPythons = ['/usr/bin/python3', '/usr/local/bin/python3']

/**
 * The process that begins steps: this one, with its hundreds of megabytes, would take milliseconds for each fork, and then once more for
 * each page that it touches. Begun at the first need, again when it died, gone with this process.
 */
export class Launcher {
  readonly #script: string
  readonly #python: string
  readonly #environment: Readonly<Record<string, string>>
  #running: Running | undefined
  #veil: VeilFound | undefined
  #last = 0
  #holds = 0

  /** `environment`: where it looks for Python and for room for temporary files; no command sees it. */
  constructor(script: string, environment: Readonly<Record<string, string>> = {}) {
    this.#script = script
    this.#environment = environment
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
    running.child.stdin!.write(`${id} ${JSON.stringify(request)}\n`)
    return this.whileHeld(launched)
  }

  /** What it can hide from a command: it tries that by itself when it begins. @throws AppError PythonMissing, StorageFull */
  async veil(): Promise<VeilFound> {
    if (this.#veil) return this.#veil
    for (let tries = 0; tries < 2; tries++) {
      const tried = await this.whileHeld((await this.#process()).veil.promise)
      if (tried && 'noRoom' in tried) throw noRoom(tried.noRoom)
      if (tried) this.#veil = tried
      if (this.#veil) return this.#veil
    }
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
    const streams = [child.stdin, child.stdout, child.stdio[endings]] as Socket[]
    const open = streams.filter(({ destroyed }) => !destroyed)
    for (const one of [child, ...open]) this.#holds > 0 ? one.ref() : one.unref()
  }

  async #process(): Promise<Running> {
    if (this.#running) return this.#running
    const [python, ...args] = this.words
    // A session of its own: out of reach of the terminal's Ctrl-C.
    const env = this.#environment
    const stdio: StdioOptions = ['pipe', 'pipe', 'inherit', 'pipe']
    const child = spawn(python!, args, { detached: true, stdio, env, cwd: '/' })
    // Where no descriptor is left it has no streams either, and says so on the next turn.
    if (child.pid === undefined) throw this.#missing(await once(child, 'error').then(([error]) => error as Error))
    const running: Running = { child, veil: Promise.withResolvers(), waiting: new Map(), started: new Map() }
    this.#running = running
    child.stdin!.on('error', () => undefined)
    for (const input of [child.stdout!, child.stdio[endings] as Readable])
      createInterface({ input }).on('line', (line) => take(running, line))
    // Runners hold their end of it until their record stands: after the end of it nothing more begins.
    child.stdout!.once('close', () => this.#over(running))
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
    // Runners hold theirs for as long as their steps last, and this process would stay for it.
    running.child.stdio[endings]!.destroy()
  }

  #missing(cause: NodeJS.ErrnoException): Error {
    // Python may well be there; whoever asked tries again when the machine has room for one more process.
    if (passing.has(cause.code ?? '')) return cause
    return new AppError(
      'PythonMissing',
      `No step can be begun: ${this.#python} cannot be run (${cause.message}).`,
      'Install Python 3, which begins steps and runs models.',
      { cause },
    )
  }
}

const passing = new Set(['EMFILE', 'ENFILE', 'EAGAIN', 'ENOMEM'])

const noRoom = (why: string): AppError =>
  new AppError(
    'StorageFull',
    `No step can be begun: what this machine can hide from one could not be tried (${why}).`,
    'Free space for temporary files, or set TMPDIR for the server to where there is some.',
  )

function take({ veil, waiting, started }: Running, line: string): void {
  const [word, number, ...rest] = line.split(' ')
  const id = Number(number)
  const one = waiting.get(id)
  if (word === 'ended') {
    // On another stream than the beginning: it may come before that.
    const end = started.get(id) ?? one?.gone.resolve
    end?.()
    return
  }
  waiting.delete(id)
  switch (word) {
    case 'veil':
      veil.resolve(JSON.parse(line.slice('veil '.length)) as VeilTried)
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
