/**
 * Carries commands out so that they outlive the server.
 * - `start` returns when the process runs and its pid and start time are recorded under `dir`, where no crash of a process reaches
 *   them (a power loss may, but then nothing runs any more); it never waits for the end.
 *   Starting twice with the same `dir` is refused with Conflict: a command is carried out at most once per folder.
 * - `prepare` is a hint that commands will soon be started: it returns at once, and what goes wrong is told by the start.
 * - `observe` tells the state from what is recorded and from the process table alone, so it works after a restart of the server;
 *   a reused pid is not mistaken for the command (start times are compared).
 * - `ended` resolves when the command has ended, also for an adopted one; at once if it already has.
 * - `kill` ends the whole process group (and processes that left it but carry the attempt's mark): SIGTERM, then after
 *   `graceMs` SIGKILL. Idempotent. When it resolves nothing of the command runs.
 * - `sweep` ends at once what commands that have ended left in the background, with one look for all of them.
 * - standard output and error go, in order of writing, to `logPath(dir)`.
 * - `veil`, where the machine can (`abilities` says so), hides what the executor was told to hide, except `visible`: an absolute path
 *   there does not exist for the command, and what it leaves running ends with it. Elsewhere the command sees the machine as it is.
 * - `limits` hold the command with all that it starts; where the machine cannot, the memory of each process. `ended` then tells how
 *   often the system ended a process for its memory.
 * - `usage` is what runs now, undefined where nothing does. `keepLogWithin` gives back the middle of a log that has grown beyond
 *   `bytes`; offsets stay what they are, and `logGap` tells which are gone.
 */
export interface Executor {
  prepare(): void
  start(command: CommandSpec): Promise<void>
  observe(dir: string): Promise<CommandState>
  ended(dir: string, signal?: AbortSignal): Promise<CommandEnd>
  kill(dir: string, graceMs: number): Promise<void>
  sweep(dirs: readonly string[]): Promise<void>
  logPath(dir: string): string
  usage(dir: string): Promise<Usage | undefined>
  keepLogWithin(dir: string, bytes: number): Promise<void>
  logGap(dir: string): Promise<LogGap | undefined>
  /** Frees what an ended command still holds of the system; to be called once its end was read. */
  dissolve(dir: string): void
  abilities(): Promise<ExecutorAbilities>
}

/** Since the start: processor time (of what still runs and was waited for), bytes; memory as it is now. */
export type Usage = { cpuMs: number; memoryBytes: number; readBytes: number; writtenBytes: number; elapsedMs: number }

/** Bytes of a log that were given up, `to` exclusive. */
export type LogGap = { from: number; to: number }

/** What this machine can hold a command to; the reason where it cannot. */
export type ExecutorAbilities = {
  veil: { holds: true; means: string } | { holds: false; why: string }
  memory: { holds: 'together' | 'each process'; means: string }
}

export type CommandSpec = {
  /** A folder of this command alone, on the data folder's disk; journal and log are kept there. */
  dir: string
  /** The working folder. */
  cwd: string
  /** Passed to `sh -c`. */
  command: string
  /** The whole environment: nothing of the server's own is inherited. */
  env: Record<string, string>
  /**
   * The paths that the command needs of what is hidden, and those that it may read but not change, wherever they lie; with `seesAll` nothing
   * is hidden. Absent: neither.
   */
  veil?: { visible: readonly string[]; readOnly?: readonly string[]; seesAll?: boolean }
  limits?: { memoryBytes?: number; cpus?: number }
}

/** `lost`: it was started and is gone without a recorded exit status (a power loss, a kill -9 of the runner). */
export type CommandState =
  | { state: 'absent' }
  | { state: 'running'; pid: number; startedAt: number }
  | { state: 'ended'; end: CommandEnd }
  | { state: 'lost' }

/** `code` is the exit status (128 + signal where a signal ended it); undefined where it was lost. */
export type CommandEnd = {
  code: number | undefined
  startedAt?: number
  endedAt?: number
  /** Where its memory was limited and counted. */
  memory?: { kills: number; peakBytes?: number }
}
