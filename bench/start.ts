import { setTimeout as sleep } from 'node:timers/promises'
import { type Bench, median } from './support/bench.ts'
import { memoryOfTree, remove, start } from './support/family.ts'

const settleMs = 3_000

/** Server start to first answer on an empty data folder; idle memory of server, and of the whole family with its supervisor. */
export const bench: Bench = async ({ runs, say }) => {
  const first: number[] = []
  const again: number[] = []
  const serverMb: number[] = []
  const familyMb: number[] = []
  for (let run = 1; run <= runs; run++) {
    say(`run ${run} of ${runs}`)
    const server = await start('server')
    first.push(server.startedInMs)
    await sleep(settleMs)
    serverMb.push(memoryOfTree(server.process.pid!))
    await server.end()
    const restarted = await start('server', server.dataDir)
    again.push(restarted.startedInMs)
    await restarted.end()
    remove(server.dataDir)
    const family = await start('up')
    await sleep(settleMs)
    familyMb.push(memoryOfTree(family.process.pid!))
    await family.end()
    remove(family.dataDir)
  }
  return [
    { what: 'server start to first answer, new data folder', value: median(first), unit: 'ms', aim: '≤ 1000' },
    { what: 'server start to first answer, existing data folder', value: median(again), unit: 'ms', aim: '≤ 1000' },
    { what: 'idle memory, server', value: median(serverMb), unit: 'MB', aim: '≤ 150' },
    { what: 'idle memory, supervisor + server + gateway', value: median(familyMb), unit: 'MB', aim: '≤ 250' },
  ]
}
