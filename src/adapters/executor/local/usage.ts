import { readFileSync } from 'node:fs'

export type ProcessUsage = { cpuTicks: number; memoryBytes: number; readBytes: number; writtenBytes: number }

/** proc(5): USER_HZ, 100 on every Linux that Node runs on. */
export const ticksPerSecond = 100
const pageBytes = 4096

/** What processes use now, together; those that end between two looks take what they used with them to their parents. */
export function usageOf(pids: readonly number[]): ProcessUsage {
  const total: ProcessUsage = { cpuTicks: 0, memoryBytes: 0, readBytes: 0, writtenBytes: 0 }
  for (const pid of pids) {
    const stat = textOf(`/proc/${pid}/stat`)
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields.length < 22) continue
    // utime, stime and those of children that were waited for.
    total.cpuTicks += fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
    total.memoryBytes += Number(fields[21]) * pageBytes
    const io = textOf(`/proc/${pid}/io`)
    total.readBytes += Number(/^read_bytes: (\d+)$/m.exec(io)?.[1] ?? 0)
    total.writtenBytes += Number(/^write_bytes: (\d+)$/m.exec(io)?.[1] ?? 0)
  }
  return total
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
