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

/**
 * The live processes that belong to a command: those of the leader's group or session, and those that left both but carry
 * the mark in the environment they were started with. Group and session count only while the leader lives, because
 * afterwards its number may belong to somebody else.
 */
export function processesOf(mark: string, leader: ProcessIdentity | undefined): number[] {
  const leaderPid = leader && isAlive(leader) ? leader.pid : undefined
  const markBytes = Buffer.from(`${mark}\0`)
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => belongs(pid, leaderPid, markBytes))
}

function belongs(pid: number, leaderPid: number | undefined, mark: Buffer): boolean {
  const stat = readStat(pid)
  if (stat === undefined || stat.state === 'Z') return false
  if (leaderPid !== undefined && (stat.group === leaderPid || stat.session === leaderPid)) return true
  return carries(pid, mark)
}

function carries(pid: number, mark: Buffer): boolean {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`)
    const at = environment.indexOf(mark)
    return at === 0 || (at > 0 && environment[at - 1] === 0)
  } catch {
    return false // it ended meanwhile, or is another user's
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
