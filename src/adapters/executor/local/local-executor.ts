import { type FSWatcher, mkdirSync, watch } from 'node:fs'
import { constants } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppError, bug, messageOf } from '../../../kernel/errors.ts'
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
import { type Launched, Launcher, type LaunchRequest } from './launcher.ts'
import { giveUpMiddle, readGap } from './log-gap.ts'
import {
  commandLineOf,
  elapsedMsSince,
  isAlive,
  markName,
  type ProcessIdentity,
  processesMarked,
  processesOf,
} from './process-table.ts'
import { ticksPerSecond, usageOf } from './usage.ts'
import { veilFor } from './veil.ts'

const adoptedPollMs = 500
const runnerLastWordMs = 1000
const runnerFirstStepMs = 200

/** Commands as processes of this machine (Linux: it reads /proc), each under a runner of its own that outlives the server. */
export class LocalExecutor implements Executor {
  /** Of commands that this instance began: when their runner is gone. */
  private readonly own = new Map<string, Promise<void>>()
  private readonly launcher: Launcher
  private readonly hidden: readonly string[]
  private foundGroups: ControlGroups | undefined

  /**
   * `launcher`: the program that begins commands, and `environment`, which is its own and no command's; `hidden`: what a command with a
   * veil does not see, unless it says so.
   */
  constructor({
    launcher,
    environment = {},
    hidden = [],
  }: {
    launcher: string
    environment?: Readonly<Record<string, string>>
    hidden?: readonly string[]
  }) {
    this.launcher = new Launcher(launcher, environment)
    this.hidden = hidden
  }

  prepare(): void {
    void this.launcher.veil().catch(() => undefined)
  }

  async start(command: CommandSpec): Promise<void> {
    const dir = resolve(command.dir)
    if (readJournal(dir).state !== 'absent') throw alreadyStarted(dir)
    refuseTooLong(command)
    const launched = await this.launch(dir, command)
    if (launched.outcome !== 'started') throw notStarted(dir, launched, command)
    this.own.set(dir, launched.gone)
    void launched.gone.then(() => this.own.delete(dir))
  }

  async observe(dir: string): Promise<CommandState> {
    const journal = readJournal(dir)
    if (journal.state === 'absent') return { state: 'absent' }
    if (journal.state === 'torn') return { state: 'lost' }
    if (journal.state === 'ended') return { state: 'ended', end: this.endOf(journal, dir) }
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
    const hasBegun = () => remaining().some((pid) => !this.isRunner(pid))
    for (let waited = 0; waited < runnerFirstStepMs && !hasBegun() && remaining().length > 0; waited += 5)
      await sleep(5)
    signalAll(remaining(), 'SIGTERM')
    if (await goneWithin(graceMs, remaining)) return
    // The runner and what keeps its process ids are spared at first: it then records that its command was killed, not that it was lost.
    for (let waited = 0; waited < runnerLastWordMs; waited += 20) {
      const others = remaining().filter((pid) => pid !== leader?.pid && !this.isRunner(pid))
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
    const own = processesOf(markOf(resolve(dir)), journal.runner).filter((pid) => !this.isRunner(pid))
    const now = usageOf(own)
    return {
      cpuMs: (now.cpuTicks * 1000) / ticksPerSecond,
      memoryBytes: now.memoryBytes,
      readBytes: now.readBytes,
      writtenBytes: now.writtenBytes,
      elapsedMs: elapsedMsSince(journal.sinceTicks),
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

  async abilities(): Promise<ExecutorAbilities> {
    const veil = await this.launcher.veil().catch((error: unknown) => ({ why: messageOf(error) }))
    const groups = this.groups
    return {
      veil: 'kind' in veil ? { holds: true, means: `namespaces, as ${veil.kind}` } : { holds: false, ...veil },
      memory:
        groups.kind === 'none'
          ? { holds: 'each process', means: `RLIMIT_AS: ${groups.why}` }
          : { holds: 'together', means: `control groups ${groups.kind}` },
    }
  }

  private get groups(): ControlGroups {
    this.foundGroups ??= findControlGroups()
    return this.foundGroups
  }

  /** Once more where the launcher died before anything was begun. */
  private async launch(dir: string, { cwd, command, env, veil, limits }: CommandSpec): Promise<Launched> {
    makeFolder(dir)
    const means = veil && (await this.launcher.veil())
    const request: LaunchRequest = {
      journal: journalPath(dir),
      log: this.logPath(dir),
      cwd,
      command,
      env: { ...env, [markName]: dir },
      ...limited(this.groups, dir, limits ?? {}),
      ...(means && 'kind' in means
        ? {
            veil: veilFor(means, {
              hidden: veil.seesAll ? [] : this.hidden,
              visible: veil.visible,
              readOnly: veil.readOnly ?? [],
            }),
          }
        : {}),
    }
    const launched = await this.launcher.launch(request)
    return launched.outcome === 'died' ? this.launcher.launch(request) : launched
  }

  /** Its copies too, on their way to the command or keeping its process id space. */
  private isRunner(pid: number): boolean {
    return commandLineOf(pid).includes(this.launcher.words.join('\0'))
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

  private async nextNews(dir: string, signal: AbortSignal | undefined): Promise<void> {
    const gone = this.own.get(dir)
    return gone ? this.launcher.whileHeld(raceAbort(gone, signal)) : journalChanged(dir, signal)
  }
}

const markOf = (dir: string): string => `${markName}=${dir}`

const alreadyStarted = (dir: string): AppError =>
  new AppError('Conflict', `A command was already started in ${dir}.`, 'Use a new folder for every attempt.')

function makeFolder(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true })
  } catch (cause) {
    throw isDiskFull(cause) ? diskFull(dir, cause) : cause
  }
}

const isDiskFull = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '')

const diskFull = (dir: string, cause: unknown): AppError =>
  new AppError('StorageFull', `The disk is full: no command could be started in ${dir}.`, 'Free some space.', { cause })

/** execve(2): the most that one argument or variable may have, and about what all of them may. */
const [mostOfOne, mostOfAll] = [131_071, 1_900_000]

function refuseTooLong({ command, env }: CommandSpec): void {
  const sizes = [command, ...Object.entries(env).map(([name, value]) => `${name}=${value}`)].map((text) =>
    Buffer.byteLength(text),
  )
  if (Math.max(...sizes) <= mostOfOne && sizes.reduce((sum, size) => sum + size, 0) <= mostOfAll) return
  throw new AppError(
    'BadRequest',
    `The command (${command.length} characters) and its environment are longer than this system allows.`,
    'Put the command into a script file and run that.',
  )
}

function notStarted(dir: string, launched: Exclude<Launched, { outcome: 'started' }>, { cwd }: CommandSpec): AppError {
  if (launched.outcome === 'died') return bug(`The process that begins steps died twice before it began one in ${dir}.`)
  if (launched.errno === constants.errno.EEXIST) return alreadyStarted(dir)
  if ([constants.errno.ENOSPC, constants.errno.EDQUOT].includes(launched.errno)) return diskFull(dir, launched.why)
  return bug(`No process could be started in ${cwd}: ${launched.why}.`)
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
