import { readFile } from 'node:fs/promises'

/**
 * Memory of a process in bytes: its proportional share (Pss: pages that several processes share count in parts), else what is resident.
 * undefined where the process is gone, or where the system does not say.
 */
export async function processMemory(pid: number): Promise<number | undefined> {
  return (
    (await kilobytes(`/proc/${pid}/smaps_rollup`, /^Pss:\s+(\d+) kB$/m)) ??
    (await kilobytes(`/proc/${pid}/status`, /^VmRSS:\s+(\d+) kB$/m))
  )
}

async function kilobytes(path: string, line: RegExp): Promise<number | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '')
  const found = line.exec(text)?.[1]
  return found === undefined ? undefined : Number(found) * 1024
}
