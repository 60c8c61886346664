import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { SystemClock } from '../adapters/clock/system/system-clock.ts'
import { type ErrorCode, errorCodes } from '../kernel/error-codes.ts'
import { AppError } from '../kernel/errors.ts'
import { cannotListen } from '../kernel/listening.ts'
import { asStorageError } from '../kernel/storage-errors.ts'
import { formatDuration, parseDuration } from '../kernel/time.ts'
import type { Config, SettingName } from './config.ts'
import { lockDataFolder, lockHolder, makeFolder, supervisorVariable } from './data-folder.ts'
import { familyOf, isWell, type Member, memberFacts, membersIn, writeFacts, writtenFacts } from './members.ts'

const firstBackoffMs = 100
const longestBackoffMs = 10_000
const healthyAfterMs = 60_000
const stopWithinMs = 40_000
const logLimitBytes = 20_000_000

export type SupervisorOptions = {
  config: Config
  flags: Partial<Record<SettingName, unknown>>
  program: string
  signal: AbortSignal
  say: (line: string) => void
}

/**
 * `modelwright up`: keeps the server and its gateways running, each started again when it ends, with growing pauses. When the
 * signal aborts all are ended, and nothing is left behind.
 * @throws AppError where one of them cannot start at all: what never came up would not by being started again
 */
export async function supervise({ config, flags, program, signal, say }: SupervisorOptions): Promise<void> {
  makeFolder(config.runDir)
  makeFolder(join(config.dataDir, 'logs'))
  const lock = lockDataFolder(config.runDir, 'supervisor')
  try {
    // A supervisor that was killed left them running: they are ours now, and start anew under this one.
    await endMembers(config.runDir)
    writeFacts(config.runDir, 'supervisor', { pid: process.pid, url: '' })
    const failed = new AbortController()
    const options = { config, flags, program, say, signal: AbortSignal.any([signal, failed.signal]) }
    if (config.gateways > 1) await refuseTakenPort(config)
    const keeping = familyOf(config).map((member) => keep(member, options).finally(() => failed.abort()))
    // The others are ended before the reason is told.
    for (const end of await Promise.allSettled(keeping)) if (end.status === 'rejected') throw end.reason
  } catch (error) {
    throw asStorageError(error)
  } finally {
    rmSync(join(config.runDir, 'supervisor.json'), { force: true })
    lock.release()
  }
}

async function keep(member: Member, options: SupervisorOptions): Promise<void> {
  const clock = new SystemClock()
  const { config, signal, say } = options
  let backoffMs = 0
  let cameUp = false
  while (!signal.aborted) {
    const startedAt = clock.now()
    const logFrom = logSize(config, member)
    const child = start(member, options)
    const ended = new AbortController()
    // Once told to end it takes no more questions, and still gives its last answers.
    if (member !== 'server') void endWhenSilent(member, child, options, AbortSignal.any([ended.signal, signal]))
    const code = await endOf(child, signal).finally(() => ended.abort())
    if (signal.aborted) return
    cameUp ||= child.exitCode === null || writtenFacts(config.runDir, member)?.pid === child.pid
    const lastWords = lastWordsOf(logPath(config, member), logFrom)
    if (!cameUp) throw couldNotStart(member, code, lastWords, logPath(config, member))
    const wasWell = clock.now() - startedAt > healthyAfterMs
    backoffMs = wasWell ? 0 : Math.min(Math.max(backoffMs * 2, firstBackoffMs), longestBackoffMs)
    const why = lastWords ? ` (${lastWords.join(': ')})` : ''
    say(
      `${member} ended with ${code}${why}; starting it again ${backoffMs > 0 ? `in ${backoffMs / 1000} s` : 'at once'} (its log: ${logPath(config, member)})`,
    )
    if (backoffMs > 0) await clock.sleep(backoffMs, signal)
  }
}

/** Questions that a gateway must leave unanswered, one after the other. Counted, since a clock would run on while a machine sleeps. */
const silentQuestions = 6

/** One that lives and answers nothing (stopped, in an endless loop) keeps clients waiting: it goes, and comes back as a dead one does. */
async function endWhenSilent(
  member: Member,
  child: ChildProcess,
  { config, say }: SupervisorOptions,
  ended: AbortSignal,
): Promise<void> {
  const clock = new SystemClock()
  const patienceMs = parseDuration(config.gatewayPatience)!
  const pauseMs = Math.ceil(patienceMs / silentQuestions / 2)
  for (let silent = 0; silent < silentQuestions; ) {
    await clock.sleep(pauseMs, ended)
    if (ended.aborted) return
    const facts = writtenFacts(config.runDir, member)
    // Not up yet: it reads the journal, or the disk is full.
    if (facts?.pid !== child.pid) continue
    silent = (await isWell(facts!, Math.min(pauseMs, 5_000))) ? 0 : silent + 1
  }
  say(`${member} lives and has answered nothing for ${formatDuration(patienceMs)}: it is ended.`)
  child.kill('SIGKILL')
}

type LastWords = [code: string, message: string, next: string]

/** What a process told people before it ended: `Code: message` and the next move, or an error that nobody expected. */
export function lastWordsOf(log: string, from: number): LastWords | undefined {
  const text = readFileSync(log).subarray(from).toString('utf8')
  const found = [...text.matchAll(/^([A-Z]\w+): (.+)\n(.*)/gm)].at(-1)
  return found && [found[1]!, found[2]!, found[3]!.trim()]
}

export function couldNotStart(
  member: Member | 'supervisor',
  code: string,
  lastWords: LastWords | undefined,
  log: string,
): AppError {
  const [name, message, next] = lastWords ?? ['Internal', `The ${member} ended with ${code} before it answered.`, '']
  const isOurs = Object.hasOwn(errorCodes, name)
  return isOurs && lastWords
    ? new AppError(name as ErrorCode, message, next)
    : new AppError('Internal', `The ${member} could not start: ${message}`, `Its log: ${log}`)
}

function start(member: Member, { config, flags, program }: SupervisorOptions): ChildProcess {
  const log = openLog(config, member)
  try {
    const [command, number] = member.split('-')
    const words = [command!, ...(number === undefined ? [] : ['--number', number]), ...flagWords(flags)]
    return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, ...words], {
      stdio: ['ignore', log, log],
      env: { ...config.environment, [supervisorVariable]: String(process.pid) },
    })
  } finally {
    closeSync(log)
  }
}

/** Resolves with the exit status or signal; passes an abort on as SIGTERM, and SIGKILL when that is not heard. */
function endOf(child: ChildProcess, signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    let last: NodeJS.Timeout | undefined
    const end = () => {
      child.kill('SIGTERM')
      // One that was stopped hears nothing else.
      child.kill('SIGCONT')
      last = setTimeout(() => child.kill('SIGKILL'), stopWithinMs)
    }
    if (signal.aborted) end()
    signal.addEventListener('abort', end, { once: true })
    child.once('error', (error) => resolve(String(error)))
    child.once('exit', (code, name) => {
      clearTimeout(last)
      signal.removeEventListener('abort', end)
      resolve(name ?? `status ${code}`)
    })
  })
}

export const logPath = (config: Config, member: Member): string => join(config.dataDir, 'logs', `${member}.log`)

function logSize(config: Config, member: Member): number {
  const size = statSync(logPath(config, member), { throwIfNoEntry: false })?.size ?? 0
  return size > logLimitBytes ? 0 : size
}

function openLog(config: Config, member: Member): number {
  const path = logPath(config, member)
  if (logSize(config, member) === 0 && statSync(path, { throwIfNoEntry: false })) renameSync(path, `${path}.1`)
  return openSync(path, 'a', 0o600)
}

export function flagWords(flags: Partial<Record<SettingName, unknown>>): string[] {
  return Object.entries(flags).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name.replace(/[A-Z]/g, (l) => `-${l.toLowerCase()}`)}`, String(value)],
  )
}

/** `modelwright down`: ends the supervisor (which ends the family), or what a killed one left behind. True where something ran. */
export async function endFamily(runDir: string): Promise<boolean> {
  const supervisor = memberFacts(runDir, 'supervisor')
  if (!supervisor) return endMembers(runDir)
  await endProcess(supervisor.pid)
  await endMembers(runDir)
  return true
}

async function endMembers(runDir: string): Promise<boolean> {
  // Told by the lock, so that one is found too that has not come to write its facts; an earlier family may have had more gateways.
  const running = membersIn(runDir).flatMap((member) => {
    const holder = lockHolder(runDir, member)
    return (holder === 'unknown' ? memberFacts(runDir, member)?.pid : holder) ?? []
  })
  await Promise.all(running.map((pid) => endProcess(pid)))
  return running.length > 0
}

/** Processes that share a port would share it with a stranger's, too, without anybody being told. @throws AppError PortTaken */
async function refuseTakenPort({ host, gatewayPort: port }: Config): Promise<void> {
  const probe = createServer()
  await new Promise<void>((resolve, reject) => probe.once('error', reject).listen(port, host, resolve)).catch(
    (error) => {
      throw cannotListen({ host, port }, { host: '--host', port: '--gateway-port' }, error)
    },
  )
  await new Promise((resolve) => probe.close(resolve))
}

async function endProcess(pid: number): Promise<void> {
  const clock = new SystemClock()
  const deadline = clock.now() + stopWithinMs
  for (let signal: NodeJS.Signals = 'SIGTERM'; sendSignal(pid, signal); ) {
    sendSignal(pid, 'SIGCONT')
    do await clock.sleep(50)
    while (sendSignal(pid, 0) && clock.now() < deadline)
    if (!sendSignal(pid, 0)) return
    signal = 'SIGKILL'
  }
}

function sendSignal(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}
