import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { ProcessIdentity } from './process-table.ts'

/** What the runner wrote down. `sinceTicks`: when the step began, in clock ticks since boot. `torn`: less than the first line, which only a power loss leaves. */
export type Journal =
  | { state: 'absent' }
  | { state: 'torn' }
  | { state: 'started'; runner: ProcessIdentity; startedAt: number; sinceTicks: number }
  | { state: 'ended'; runner: ProcessIdentity; code: number; startedAt: number; endedAt: number }

export const journalPath = (dir: string): string => join(dir, 'journal')

export function readJournal(dir: string): Journal {
  const text = readIfThere(journalPath(dir))
  if (text === undefined) return { state: 'absent' }
  const started = /^started (\d+) (\d+) (\S+)(?: (\d+))?\n/.exec(text)
  if (!started) return { state: 'torn' }
  // A runner waits for its step; one of an earlier version was begun with it.
  const sinceTicks = Number(started[4] ?? started[2])
  const runner = { pid: Number(started[1]), startTicks: started[2]!, bootId: started[3]! }
  const { birthtimeMs, ctimeMs, mtimeMs } = statSync(journalPath(dir))
  const startedAt = Math.floor(birthtimeMs > 0 ? birthtimeMs : ctimeMs)
  const ended = /^ended (\d+)\n/m.exec(text)
  if (!ended) return { state: 'started', runner, startedAt, sinceTicks }
  return { state: 'ended', runner, code: Number(ended[1]), startedAt, endedAt: Math.floor(mtimeMs) }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
