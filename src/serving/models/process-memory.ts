import { readdir, readFile } from 'node:fs/promises'

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

/** Of a process and of all that it began, and those began: joblib's and data loaders' helpers take as much as what they help. */
export async function treeMemory(root: number): Promise<number | undefined> {
  const own = await processMemory(root)
  if (own === undefined) return undefined
  let bytes = own
  // One after the other: a model may begin thousands, and answers come first.
  const rest = await childrenOf(root)
  for (let pid = rest.pop(); pid !== undefined; pid = rest.pop()) {
    bytes += (await processMemory(pid)) ?? 0
    rest.push(...(await childrenOf(pid)))
  }
  return bytes
}

/** Each thread has those that it began. None where the system does not say. */
async function childrenOf(pid: number): Promise<number[]> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => [])
  const found: number[] = []
  for (const thread of threads) {
    const text = await readFile(`/proc/${pid}/task/${thread}/children`, 'utf8').catch(() => '')
    found.push(...text.split(' ').filter(Boolean).map(Number))
  }
  return found
}

async function kilobytes(path: string, line: RegExp): Promise<number | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '')
  const found = line.exec(text)?.[1]
  return found === undefined ? undefined : Number(found) * 1024
}
