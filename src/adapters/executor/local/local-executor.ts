import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, type FSWatcher, mkdirSync, openSync, watch } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppError, bug } from '../../../kernel/errors.ts'
import type {
  CommandEnd,
  CommandSpec,
  CommandState,
  Executor,
  ExecutorAbilities,
  LogGap,
  Usage,
} from '../../../ports/executor.ts'
import { type ControlGroups, dissolve, findControlGroups, limited, memoryStory, processesIn } from './control-groups.ts'
import { type Journal, journalPath, readJournal } from './journal.ts'
import { giveUpMiddle, readGap } from './log-gap.ts'
import {
  commandLineOf,
  elapsedMsOf,
  isAlive,
  markName,
  type ProcessIdentity,
  processesMarked,
  processesOf,
} from './process-table.ts'
import { runnerScript } from './runner-script.ts'
import { ticksPerSecond, usageOf } from './usage.ts'
import { findVeil, type VeilMeans, veiled } from './veil.ts'

const adoptedPollMs = 500
const runnerLastWordMs = 1000
const runnerFirstStepMs = 200

/** Commands as processes of this machine (Linux: it reads /proc), each under a runner of its own that outlives the server. */
export class LocalExecutor implements Executor {
  private readonly children = new Map<string, OwnChild>()
  private readonly hidden: readonly string[]
  private foundVeil: { means: VeilMeans } | { why: string } | undefined
  private foundGroups: ControlGroups | undefined

  /** `hidden`: what a command with a veil does not see, unless it says so. */
  constructor({ hidden = [] }: { hidden?: readonly string[] } = {}) {
    this.hidden = hidden
  }

  async start(command: CommandSpec): Promise<void> {
    const dir = resolve(command.dir)
    if (readJournal(dir).state !== 'absent') throw alreadyStarted(dir)
    const runner = await this.spawnRunner(dir, command)
    await recordWritten(runner)
    const journal = await settledJournal(dir)
    if (journal.state === 'absent' || journal.state === 'claimed') throw await runnerFailed(dir, journal)
    if (journal.runner.pid !== runner.pid) throw alreadyStarted(dir)
  }

  async observe(dir: string): Promise<CommandState> {
    const journal = readJournal(dir)
    if (journal.state === 'absent') return { state: 'absent' }
    if (journal.state === 'ended') return { state: 'ended', end: this.endOf(journal, dir) }
    if (journal.state === 'claimed') return this.claimedState(dir)
    if (isAlive(journal.runner)) return { state: 'running', pid: journal.runner.pid, startedAt: journal.startedAt }
    // It may have written its last line between the two looks.
    const last = readJournal(dir)
    return last.state === 'ended' ? { state: 'ended', end: this.endOf(last, dir) } : { state: 'lost' }
  }

  async ended(dir: string, signal?: AbortSignal): Promise<CommandEnd> {
    for (;;) {
      signal?.throwIfAborted()
      const seen = await this.observe(dir)
      if (seen.state === 'ended') return seen.end
      if (seen.state === 'lost') return lostEnd(readJournal(dir))
      if (seen.state === 'absent')
        throw new AppError('NotFound', `No command was started in ${dir}.`, 'Start it first.')
      await this.nextNews(resolve(dir), signal)
    }
  }

  async kill(dir: string, graceMs: number): Promise<void> {
    const mark = markOf(resolve(dir))
    const journal = readJournal(dir)
    const leader = 'runner' in journal ? journal.runner : undefined
    const remaining = () => [...new Set([...processesOf(mark, leader), ...processesIn(this.groups, resolve(dir))])]
    // Between its record and its command the runner, or its copy that is about to become the command, would swallow the signal.
    const hasBegun = () => remaining().some((pid) => !isRunner(pid))
    for (let waited = 0; waited < runnerFirstStepMs && !hasBegun() && remaining().length > 0; waited += 5)
      await sleep(5)
    signalAll(remaining(), 'SIGTERM')
    if (await goneWithin(graceMs, remaining)) return
    // The runner is spared at first: it then records that its command was killed, instead of leaving it lost.
    for (let waited = 0; waited < runnerLastWordMs; waited += 20) {
      const others = remaining().filter((pid) => pid !== leader?.pid)
      signalAll(others, 'SIGKILL')
      if (await goneWithin(20, remaining)) return
    }
    do signalAll(remaining(), 'SIGKILL')
    while (!(await goneWithin(20, remaining)))
  }

  async sweep(dirs: readonly string[]): Promise<void> {
    const marks = new Set(dirs.map((dir) => markOf(resolve(dir))))
    const remaining = () => processesMarked(marks)
    for (let left = remaining(); left.length > 0; left = remaining()) {
      signalAll(left, 'SIGKILL')
      await sleep(5)
    }
  }

  logPath(dir: string): string {
    return join(dir, 'log')
  }

  async usage(dir: string): Promise<Usage | undefined> {
    const journal = readJournal(dir)
    if (journal.state !== 'started' || !isAlive(journal.runner)) return undefined
    const now = usageOf(processesOf(markOf(resolve(dir)), journal.runner))
    return {
      cpuMs: (now.cpuTicks * 1000) / ticksPerSecond,
      memoryBytes: now.memoryBytes,
      readBytes: now.readBytes,
      writtenBytes: now.writtenBytes,
      elapsedMs: elapsedMsOf(journal.runner),
    }
  }

  keepLogWithin(dir: string, bytes: number): Promise<void> {
    return giveUpMiddle(this.logPath(dir), bytes)
  }

  logGap(dir: string): Promise<LogGap | undefined> {
    return readGap(this.logPath(dir))
  }

  dissolve(dir: string): void {
    dissolve(this.groups, resolve(dir))
  }

  abilities(): ExecutorAbilities {
    const veil = this.veil
    const groups = this.groups
    return {
      veil: 'means' in veil ? { holds: true, means: `namespaces, as ${veil.means.kind}` } : { holds: false, ...veil },
      memory:
        groups.kind === 'none'
          ? { holds: 'each process', means: `RLIMIT_AS: ${groups.why}` }
          : { holds: 'together', means: `control groups ${groups.kind}` },
    }
  }

  /** Tried once, at the first need. */
  private get veil(): { means: VeilMeans } | { why: string } {
    this.foundVeil ??= findVeil()
    return this.foundVeil
  }

  private get groups(): ControlGroups {
    this.foundGroups ??= findControlGroups()
    return this.foundGroups
  }

  private wordsOf(dir: string, { command, cwd, veil, limits }: CommandSpec): string[] {
    const behind =
      veil && 'means' in this.veil
        ? veiled(this.veil.means, dir, cwd, { hidden: veil.seesAll ? [] : this.hidden, visible: veil.visible })
        : []
    return [...(limits ? limited(this.groups, dir, limits) : []), ...behind, '/bin/sh', '-c', command]
  }

  private endOf(journal: Journal & { state: 'ended' }, dir: string): CommandEnd {
    const memory = memoryStory(this.groups, resolve(dir))
    return {
      code: journal.code,
      startedAt: journal.startedAt,
      endedAt: journal.endedAt,
      ...(memory ? { memory } : {}),
    }
  }

  /** The first line is written microseconds after the file is made: look for the process itself before calling it lost. */
  private claimedState(dir: string): CommandState {
    const pid = processesOf(markOf(resolve(dir)), undefined)[0]
    const journal = readJournal(dir)
    if (journal.state === 'ended') return { state: 'ended', end: this.endOf(journal, dir) }
    if (pid === undefined) return { state: 'lost' }
    return { state: 'running', pid, startedAt: journal.state === 'started' ? journal.startedAt : 0 }
  }

  private async spawnRunner(dir: string, command: CommandSpec): Promise<ChildProcess> {
    const log = openLog(dir, this.logPath(dir))
    try {
      const words = this.wordsOf(dir, command)
      const runner = spawn('/bin/sh', ['-c', runnerScript, 'runner', journalPath(dir), ...words], {
        cwd: command.cwd,
        env: { ...command.env, [markName]: dir },
        detached: true, // setsid: a group of its own, out of reach of the terminal's Ctrl-C
        stdio: ['ignore', log, log, 'pipe'],
      })
      if (runner.pid === undefined) throw await spawnError(runner)
      this.remember(dir, runner)
      return runner
    } catch (cause) {
      if (isDiskFull(cause)) throw diskFull(dir, cause)
      throw couldNotSpawn(cause as NodeJS.ErrnoException, command)
    } finally {
      closeSync(log)
    }
  }

  private remember(dir: string, runner: ChildProcess): void {
    const gone = new Promise<void>((done) => {
      runner.once('exit', () => done())
      runner.once('error', () => done())
    })
    runner.unref()
    if (this.children.has(dir)) return
    this.children.set(dir, { runner, gone, waiting: 0 })
    void gone.then(() => this.children.delete(dir))
  }

  private async nextNews(dir: string, signal: AbortSignal | undefined): Promise<void> {
    const child = this.children.get(dir)
    if (!child) return journalChanged(dir, signal)
    // Only somebody's wait keeps this process alive for a child; else the server could not leave while steps run.
    if (child.waiting++ === 0) child.runner.ref()
    try {
      await raceAbort(child.gone, signal)
    } finally {
      if (--child.waiting === 0) child.runner.unref()
    }
  }
}

type OwnChild = { runner: ChildProcess; gone: Promise<void>; waiting: number }

const isRunner = (pid: number): boolean => commandLineOf(pid).includes(runnerScript)

const markOf = (dir: string): string => `${markName}=${dir}`

const alreadyStarted = (dir: string): AppError =>
  new AppError('Conflict', `A command was already started in ${dir}.`, 'Use a new folder for every attempt.')

function openLog(dir: string, path: string): number {
  try {
    mkdirSync(dir, { recursive: true })
    return openSync(path, 'a')
  } catch (cause) {
    throw isDiskFull(cause) ? diskFull(dir, cause) : cause
  }
}

const isDiskFull = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '')

const diskFull = (dir: string, cause: unknown): AppError =>
  new AppError('StorageFull', `The disk is full: no command could be started in ${dir}.`, 'Free some space.', { cause })

/** Resolves when the runner closed its end of the handshake: its record stands, or it is gone. */
async function recordWritten(runner: ChildProcess): Promise<void> {
  const handshake = runner.stdio[3] as Readable
  handshake.resume()
  if (!handshake.closed) await once(handshake, 'close').catch(() => undefined)
}

const spawnError = (runner: ChildProcess): Promise<NodeJS.ErrnoException> =>
  new Promise((done) => runner.once('error', done))

function couldNotSpawn(cause: NodeJS.ErrnoException, command: CommandSpec): AppError {
  if (cause.code === 'E2BIG')
    return new AppError(
      'BadRequest',
      `The command (${command.command.length} characters) and its environment are longer than this system allows.`,
      'Put the command into a script file and run that.',
      { cause },
    )
  return bug(`No process could be started in ${command.cwd}: ${cause.code ?? cause.message}.`, cause)
}

/** A runner that lost the race may be done before the winner has written its line. */
async function settledJournal(dir: string): Promise<Journal> {
  for (let tries = 0; tries < 20 && readJournal(dir).state === 'claimed'; tries++) await sleep(5)
  return readJournal(dir)
}

/** The runner is gone without a record. Writing a few bytes here tells a full disk from everything else. */
async function runnerFailed(dir: string, journal: Journal): Promise<AppError> {
  try {
    await writeFile(join(dir, 'probe'), 'x')
  } catch (cause) {
    if (isDiskFull(cause)) return diskFull(dir, cause)
  }
  return bug(`The runner ended before it wrote its record in ${dir} (journal: ${journal.state}).`)
}

const lostEnd = (journal: Journal): CommandEnd => ({
  code: undefined,
  startedAt: 'startedAt' in journal ? journal.startedAt : undefined,
})

function signalAll(pids: number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

async function goneWithin(ms: number, remaining: () => ProcessIdentity['pid'][]): Promise<boolean> {
  let pause = 5
  for (let waited = 0; waited < ms; waited += pause) {
    if (remaining().length === 0) return true
    pause = Math.min(pause * 2, 100, Math.max(1, ms - waited))
    await sleep(pause)
  }
  return remaining().length === 0
}

/** The watch makes it prompt; the poll sees a runner that was killed and wrote nothing. */
async function journalChanged(dir: string, signal: AbortSignal | undefined): Promise<void> {
  const watcher = watchIfPossible(journalPath(dir))
  let poll: NodeJS.Timeout | undefined
  try {
    const changed = new Promise<void>((done) => {
      watcher?.once('change', () => done())
      watcher?.once('error', () => done())
      poll = setTimeout(done, adoptedPollMs)
    })
    // What was written just before the watch began sends no event.
    if (readJournal(dir).state === 'started') await raceAbort(changed, signal)
  } finally {
    clearTimeout(poll)
    watcher?.close()
  }
}

/** The system's limit of watches may be used up; then the poll alone tells. */
function watchIfPossible(path: string): FSWatcher | undefined {
  try {
    return watch(path)
  } catch {
    return undefined
  }
}

function raceAbort(event: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((done, fail) => {
    if (signal?.aborted) return fail(signal.reason)
    const aborted = () => fail(signal?.reason)
    signal?.addEventListener('abort', aborted, { once: true })
    event.then(() => done(), fail).finally(() => signal?.removeEventListener('abort', aborted))
  })
}
