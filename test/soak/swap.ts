// `npm run soak -- swap --load-seconds 60 --swaps 20`: a model in Python that takes that long to load is exchanged under load, beside the
// old version and in its place. 16 clients that ask again at once and 20 requests a second; each has an id that the model writes down.
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { GatewayBench, until } from '../support/gateway-bench.ts'
import { startLoad } from '../support/serving-load.ts'
import { numbersOf } from './options.ts'
import { makePythonModels } from './python-models.ts'

const { loadSeconds, swaps } = numbersOf({ loadSeconds: 60, swaps: 20 })
const python = process.env.MODELWRIGHT_TEST_PYTHON!
const results: object[] = []
let isGood = true

for (const mode of ['surge', 'hold'] as const) {
  const bench = new GatewayBench()
  const folder = join(bench.dataDir, 'models')
  const names = ['v0', 'v1', 'v2', 'v3']
  await makePythonModels(
    python,
    folder,
    names.map((answer) => ({ answer, loadSeconds, log: bench.log })),
  )
  const wish = (n: number) => {
    const name = names[n % 4]!
    bench.want(
      bench.endpoint('e', [[bench.served(name, n % 4, join(folder, name), python), 1]], { serve: { swap: mode } }),
    )
  }
  wish(0)
  await bench.start()
  // A busy machine imports slowly; the gateway itself gives a load five minutes.
  const patienceMs = (loadSeconds + 240) * 1000
  await until('the first version serves', () => bench.seen('e', 0)?.state === 'ready', patienceMs)
  const load = startLoad(bench.url('e'), { name: mode, closed: 16, perSecond: 20, deadlineMs: 120_000 })
  const begun = Date.now()
  for (let n = 1; n <= swaps; n++) {
    wish(n)
    await until(`swap ${n}`, () => bench.seen('e', n % 4)?.weight === 1, patienceMs).catch((error: unknown) => {
      console.error(JSON.stringify(bench.gateway.status(), null, 1))
      throw error
    })
    await sleep(1_000)
    console.error(`${mode} ${n}/${swaps}: ${load.report.answered} answered, ${load.report.failed.length} failed`)
  }
  const report = await load.end()
  const counts = bench.computed()
  const repeated = [...report.ids].filter((id) => (counts.get(id) ?? 0) > 1).length
  const lost = [...report.ids].filter((id) => !counts.has(id)).length
  await bench.close()
  for (const line of report.failed.slice(0, 10)) console.error(line)
  isGood &&=
    report.failed.length === 0 && repeated === 0 && lost === 0 && report.answers.size === Math.min(4, swaps + 1)
  results.push({
    mode,
    swaps,
    loadSeconds,
    answered: report.answered,
    failed: report.failed.length,
    computedTwice: repeated,
    neverComputed: lost,
    longestWaitSeconds: Math.round(report.longestMs / 100) / 10,
    seconds: Math.round((Date.now() - begun) / 1000),
  })
}

console.table(results)
console.log(JSON.stringify({ soak: 'swap', passed: isGood, results }))
process.exitCode = isGood ? 0 : 1
