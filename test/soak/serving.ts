// `npm run soak -- serving --minutes 60`: a graph of ONNX and a model in Python, each at half (--share) of what it can take, in one gateway that is
// a process of its own. Its memory, and that of its worker, must be flat; nothing may fail.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { GatewayObserved } from '../../src/serving/gateway-state.ts'
import { GatewayBench } from '../support/gateway-bench.ts'
import { type LoadReport, startLoad } from '../support/serving-load.ts'
import { numbersOf } from './options.ts'
import { makePythonModels } from './python-models.ts'

const { minutes, share } = numbersOf({ minutes: 60, share: 0.5 })
const python = process.env.MODELWRIGHT_TEST_PYTHON!
const bench = new GatewayBench()
const folder = join(bench.dataDir, 'models')
await makePythonModels(python, folder, [{ answer: 'v0', loadSeconds: 0 }])
const graph = fileURLToPath(new URL('../fixtures/serving/onnx-two', import.meta.url))
const models = [
  { name: 'onnx', served: bench.served('onnx', 1, graph, '/no/python'), row: () => ({ a: 1.5, b: 2.5 }) },
  { name: 'python', served: bench.served('v0', 2, join(folder, 'v0'), python), row: undefined },
]
// Who comes at a fixed rate waits, and is not turned away, while the machine does something else for a moment.
const serve = { queue: 10_000 }
bench.want(...models.map(({ name, served }) => bench.endpoint(name, [[served, 1]], { serve })))

const gateway = spawn(
  process.execPath,
  [
    '--disable-warning=ExperimentalWarning',
    fileURLToPath(new URL('../serving/gateway-process.ts', import.meta.url)),
    bench.dataDir,
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] },
)
const [line] = (await once(gateway.stdout, 'data')) as [Buffer]
const url = String(line).trim()
const status = async () => (await (await fetch(`${url}/status`)).json()) as GatewayObserved
while ((await fetch(`${url}/ping`)).status !== 200) await sleep(100)
const worker = (await status()).endpoints.flatMap(({ versions }) => versions).find(({ workerPid }) => workerPid)!
  .workerPid!

const load = (shape: { closed: number; perSecond: (at: number) => number; name: string }) =>
  models.map(({ name, row }, at) =>
    startLoad(`${url}/endpoints/p/${name}/invocations`, {
      name: `${shape.name}-${name}`,
      closed: shape.closed,
      perSecond: shape.perSecond(at),
      deadlineMs: 60_000,
      keepIds: false,
      ...(row ? { row } : {}),
    }),
  )
const trialSeconds = 8
const trial = load({ name: 'trial', closed: 8, perSecond: () => 0 })
await sleep(trialSeconds * 1000)
const capacity = (await Promise.all(trial.map((one) => one.end()))).map(({ answered }) => answered / trialSeconds)
console.error(`capacity: ${models.map(({ name }, at) => `${name} ${Math.round(capacity[at]!)}/s`).join(', ')}`)

const steady = load({ name: 'steady', closed: 0, perSecond: (at) => capacity[at]! * share })
/** Bytes of its own: of what it shares (programs, libraries) its part changes when others begin and end. */
const ownMemory = (pid: number): number =>
  1024 * Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1])
const samples: { gateway: number; worker: number }[] = []
const end = Date.now() + minutes * 60_000
for (let next = Date.now(); Date.now() < end; ) {
  next += Math.min(10_000, (minutes * 60_000) / 40)
  await sleep(Math.max(0, next - Date.now()))
  samples.push({ gateway: ownMemory(gateway.pid!), worker: ownMemory(worker) })
}
const reports = await Promise.all(steady.map((one) => one.end()))
gateway.kill('SIGTERM')
await once(gateway, 'exit')
await bench.close()

/** The middle of the second quarter and of the last: what is warmed up by then stays as it is. */
const quarters = (of: 'gateway' | 'worker'): [number, number] => {
  const values = samples.map((one) => one[of])
  const quarter = Math.floor(values.length / 4)
  return [middle(values.slice(quarter, 2 * quarter)), middle(values.slice(-quarter))]
}
const middle = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
const isFlat = ([before, after]: [number, number]): boolean => after <= before * 1.1 + 10_000_000
const memory = { gateway: quarters('gateway'), worker: quarters('worker') }
const failed = reports.flatMap((report: LoadReport) => report.failed)
for (const text of failed.slice(0, 10)) console.error(text)
const isGood = failed.length === 0 && isFlat(memory.gateway) && isFlat(memory.worker)
const megabytes = (bytes: number) => Math.round(bytes / 1e5) / 10
const results = reports.map((report, at) => ({
  model: models[at]!.name,
  perSecond: Math.round(capacity[at]! * share),
  answered: report.answered,
  failed: report.failed.length,
  meanMs: Math.round(report.meanMs * 100) / 100,
  longestMs: Math.round(report.longestMs),
}))
console.table(results)
console.table(
  Object.entries(memory).map(([process, [before, after]]) => ({
    process,
    beforeMB: megabytes(before),
    afterMB: megabytes(after),
  })),
)
console.log(JSON.stringify({ soak: 'serving', passed: isGood, minutes, results, memory }))
process.exitCode = isGood ? 0 : 1
