import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bench, median, type Row } from './support/bench.ts'
import { cpuOfTree, memoryOfTree, remove } from './support/family.ts'
import { type Target, targets } from './tracking/targets.ts'
import { artifact, batches, besideLarge, history, oneRun, searches } from './tracking/workloads.ts'

const searchedRuns = 10_000
const historyPoints = 100_000
const settleMs = 3_000

/**
 * The same work for every server in turn, in each round: ours on SQLite (both durabilities) and PostgreSQL, stock `mlflow server` on
 * the same two databases, FastTrackML where FASTTRACKML names its binary. Fresh data each time; a peer's 10,000 runs are written through
 * its own tables, untimed. ONLY=… measures the servers whose name has that in it.
 */
export const bench: Bench = async ({ runs, say }) => {
  const found = new Map<string, Map<string, number[]>>()
  for (let round = 1; round <= runs; round++)
    for (const target of (await targets(say)).filter(({ name }) => name.includes(process.env.ONLY ?? ''))) {
      say(`round ${round} of ${runs}: ${target.name}`)
      const result = await measured(target)
      say(JSON.stringify({ [target.name]: rounded(result) }))
      for (const [what, value] of Object.entries(result)) {
        const values = found.get(what) ?? found.set(what, new Map()).get(what)!
        values.set(target.name, [...(values.get(target.name) ?? []), value])
      }
    }
  return [...found].flatMap(([what, values]) => rowsOf(what, values))
}

const aims: Record<string, { unit: string; aim?: string }> = {
  'start to first answer': { unit: 'ms', aim: '≤ 1000' },
  'idle memory': { unit: 'MB', aim: '≤ 150' },
  'one run, 4 requests': { unit: 'ms', aim: '≤ 3' },
  'batches of 100, 1 client': { unit: 'points/s', aim: '≥ 40000' },
  'batches of 100, 8 clients': { unit: 'points/s', aim: '≥ 60000' },
  'processor time of 100,000 points in batches': { unit: 'ms' },
  'search: metric filter and order, first 100': { unit: 'ms', aim: '≤ 6' },
  'search: metric and param filter': { unit: 'ms', aim: '≤ 10' },
  'search: latest 100': { unit: 'ms' },
  'search: all 10,000 in pages of 1,000': { unit: 'ms', aim: '≤ 500' },
  'history of 100,000: write': { unit: 'ms', aim: '≤ 1500' },
  'history of 100,000: read': { unit: 'ms', aim: '≤ 300' },
  'history of 100,000: sampled': { unit: 'ms', aim: '≤ 15' },
  'artifact of 200 MB: up': { unit: 'MB/s', aim: '≥ 300' },
  'artifact of 200 MB: down': { unit: 'MB/s', aim: '≥ 500' },
  'small request beside large batches, p50': { unit: 'ms' },
  'small request beside large batches, p99': { unit: 'ms', aim: '≤ 25' },
  'memory afterwards': { unit: 'MB' },
}

const rounded = (result: Record<string, number>) =>
  Object.fromEntries(Object.entries(result).map(([what, value]) => [what, Math.round(value * 10) / 10]))

function rowsOf(what: string, values: Map<string, number[]>): Row[] {
  const { unit, aim } = aims[what]!
  return [...values].map(([name, each]) => ({
    what: `${what} · ${name}`,
    value: median(each),
    unit,
    ...(aim && name.startsWith('ours') ? { aim } : {}),
  }))
}

async function measured(target: Target): Promise<Record<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), 'mw-bench-tracking-'))
  const server = await target.start(folder)
  try {
    await sleep(settleMs)
    const result: Record<string, number> = {
      'start to first answer': server.startedInMs,
      'idle memory': memoryOfTree(server.pid),
      'one run, 4 requests': await oneRun(server.url, 200),
    }
    const before = cpuOfTree(server.pid)
    const one = await batches(server.url, 1, 5)
    const eight = await batches(server.url, 8, 5)
    result['batches of 100, 1 client'] = one
    result['batches of 100, 8 clients'] = eight
    result['processor time of 100,000 points in batches'] =
      ((cpuOfTree(server.pid) - before) / (5 * (one + eight))) * 100_000
    const found = await searches(server.url, await server.fill(searchedRuns), 10)
    result['search: metric filter and order, first 100'] = found.filtered
    result['search: metric and param filter'] = found.twoFilters
    result['search: latest 100'] = found.latest
    result['search: all 10,000 in pages of 1,000'] = found.all
    const read = await history(server.url, historyPoints)
    result['history of 100,000: write'] = read.write
    result['history of 100,000: read'] = read.read
    result['history of 100,000: sampled'] = read.sampled
    const moved = await artifact(server.url, 200, folder)
    result['artifact of 200 MB: up'] = moved.up
    result['artifact of 200 MB: down'] = moved.down
    const small = await besideLarge(server.url, 5)
    result['small request beside large batches, p50'] = small.p50
    result['small request beside large batches, p99'] = small.p99
    result['memory afterwards'] = memoryOfTree(server.pid)
    return result
  } finally {
    await server.end()
    remove(folder)
  }
}
