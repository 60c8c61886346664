import { readdirSync, readFileSync } from 'node:fs'

/** A process is the same only if its start time (clock ticks since boot) is too: pids are reused. */
export type ProcessIdentity = { pid: number; startTicks: string; bootId: string }

type ProcessStat = { state: string; group: number; session: number; startTicks: string }

export const currentBootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()

/** A zombie has ended: it only waits to be reaped. */
export function isAlive(process: ProcessIdentity): boolean {
  if (process.bootId !== currentBootId()) return false
  const stat = readStat(process.pid)
  return stat !== undefined && stat.state !== 'Z' && stat.startTicks === process.startTicks
}

/** By the clock that nobody sets: from boot on. */
export function elapsedMsSince(ticks: number): number {
  const upSeconds = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0])
  return Math.max(0, upSeconds * 1000 - ticks * 10)
}

/**
 * The live processes that belong to a command: those of the leader's group or session, and those that left both but carry
 * the mark in the environment they were started with. Group and session count only while the leader lives, because
 * afterwards its number may belong to somebody else.
 */
export function processesOf(mark: string, leader: ProcessIdentity | undefined): number[] {
  const leaderPid = leader && isAlive(leader) ? leader.pid : undefined
  const marks = new Set([mark])
  return allPids().filter((pid) => belongs(pid, leaderPid, marks))
}

/** The live processes that carry one of the values of a variable in the environment they were started with. */
export const processesMarked = (marks: ReadonlySet<string>): number[] =>
  allPids().filter((pid) => belongs(pid, undefined, marks))

const allPids = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)

function belongs(pid: number, leaderPid: number | undefined, marks: ReadonlySet<string>): boolean {
  const stat = readStat(pid)
  if (stat === undefined || stat.state === 'Z') return false
  if (leaderPid !== undefined && (stat.group === leaderPid || stat.session === leaderPid)) return true
  return marks.has(markIn(pid) ?? '')
}

/** Empty where it ended meanwhile. */
export function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

export const markName = 'MODELWRIGHT_ATTEMPT'

/** `MODELWRIGHT_ATTEMPT=…` as it stands in a process's environment. */
function markIn(pid: number): string | undefined {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8')
    return environment.split('\0').find((entry) => entry.startsWith(`${markName}=`))
  } catch {
    return undefined // it ended meanwhile, or is another user's
  }
}

// proc(5): the second field is the name in brackets and may itself hold brackets and spaces, so count from the last bracket.
function readStat(pid: number): ProcessStat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return {
      state: fields[0]!,
      group: Number(fields[2]),
      session: Number(fields[3]),
      startTicks: fields[19]!,
    }
  } catch {
    return undefined
  }
}
