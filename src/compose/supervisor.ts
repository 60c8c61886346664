import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SystemClock } from '../adapters/clock/system/system-clock.ts'
import type { Config, SettingName } from './config.ts'
import { lockDataFolder } from './data-folder.ts'

export const family = ['server', 'gateway'] as const
export type Member = (typeof family)[number]

/** What each process of the family writes about itself under run/. */
export type MemberFacts = { pid: number; url: string }

const firstBackoffMs = 200
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
 * `modelwright up`: keeps server and gateway running, each started again when it ends, with growing pauses. When the signal
 * aborts both are ended, the server first, and nothing is left behind.
 */
export async function supervise({ config, flags, program, signal, say }: SupervisorOptions): Promise<void> {
  mkdirSync(config.runDir, { recursive: true, mode: 0o700 })
  mkdirSync(join(config.dataDir, 'logs'), { recursive: true })
  const lock = lockDataFolder(config.runDir, 'supervisor')
  try {
    // A supervisor that was killed left them running: they are ours now, and start anew under this one.
    await endMembers(config.runDir)
    writeFacts(config.runDir, 'supervisor', { pid: process.pid, url: '' })
    await Promise.all(family.map((member) => keep(member, { config, flags, program, signal, say })))
  } finally {
    rmSync(join(config.runDir, 'supervisor.json'), { force: true })
    lock.release()
  }
}

async function keep(member: Member, options: SupervisorOptions): Promise<void> {
  const clock = new SystemClock()
  let backoffMs = firstBackoffMs
  while (!options.signal.aborted) {
    const startedAt = clock.now()
    const child = start(member, options)
    const code = await endOf(child, options.signal)
    if (options.signal.aborted) return
    backoffMs = clock.now() - startedAt > healthyAfterMs ? firstBackoffMs : Math.min(backoffMs * 2, longestBackoffMs)
    options.say(
      `${member} ended with ${code}; starting it again in ${backoffMs / 1000} s (its log: ${logPath(options.config, member)})`,
    )
    await clock.sleep(backoffMs, options.signal)
  }
}

function start(member: Member, { config, flags, program }: SupervisorOptions): ChildProcess {
  const log = openLog(config, member)
  try {
    return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, member, ...flagWords(flags)], {
      stdio: ['ignore', log, log],
      env: config.environment,
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

function openLog(config: Config, member: Member): number {
  const path = logPath(config, member)
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > logLimitBytes) renameSync(path, `${path}.1`)
  return openSync(path, 'a', 0o600)
}

export function flagWords(flags: Partial<Record<SettingName, unknown>>): string[] {
  return Object.entries(flags).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name.replace(/[A-Z]/g, (l) => `-${l.toLowerCase()}`)}`, String(value)],
  )
}

/** What a member wrote about itself, if its process still lives. */
export function memberFacts(runDir: string, member: Member | 'supervisor'): MemberFacts | undefined {
  try {
    const facts = JSON.parse(readFileSync(join(runDir, `${member}.json`), 'utf8')) as MemberFacts
    return isProcessOf(facts.pid, runDir) ? facts : undefined
  } catch {
    return undefined
  }
}

export function writeFacts(runDir: string, member: Member | 'supervisor', facts: MemberFacts): void {
  const path = join(runDir, `${member}.json`)
  writeFileSync(`${path}.partial`, JSON.stringify(facts))
  renameSync(`${path}.partial`, path)
}

/** A pid may have passed to a stranger: only a Modelwright process counts. */
function isProcessOf(pid: number, _runDir: string): boolean {
  try {
    return /main\.(js|ts)|modelwright/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
  } catch {
    return false
  }
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
  const running = family.flatMap((member) => memberFacts(runDir, member) ?? [])
  await Promise.all(running.map(({ pid }) => endProcess(pid)))
  return running.length > 0
}

async function endProcess(pid: number): Promise<void> {
  const clock = new SystemClock()
  const deadline = clock.now() + stopWithinMs
  for (let signal: NodeJS.Signals = 'SIGTERM'; sendSignal(pid, signal); ) {
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
