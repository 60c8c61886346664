import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { SystemClock } from '../adapters/clock/system/system-clock.ts'
import { LocalExecutor } from '../adapters/executor/local/local-executor.ts'
import { launcherScript } from '../adapters/executor/local/testing/launcher-script.ts'
import type { NewMetric } from '../tracking/index.ts'
import { timedOutMark, type WatchParts, watchStep } from './step-watch.ts'

const top = mkdtempSync(join(tmpdir(), 'modelwright-watch-'))
afterAll(() => rmSync(top, { recursive: true, force: true }))
const executor = new LocalExecutor({ launcher: launcherScript })
let count = 0

const watched = async (command: string, timeoutMs: number | undefined) => {
  const dir = join(top, String(count++))
  mkdirSync(dir)
  await executor.start({ dir, cwd: dir, command, env: { PATH: '/usr/bin:/bin' } })
  const logged: NewMetric[][] = []
  const troubles: unknown[] = []
  const parts: WatchParts = {
    clock: new SystemClock(),
    executor,
    logBytes: 1_000_000,
    killGraceMs: 120_000,
    machine: { memoryBytes: 1e9, processors: 2, disk: async () => ({ usedBytes: 3e6, sizeBytes: 4e6 }) },
    gpus: async () => ({ gpu_0_utilization_percentage: 7 }),
    logMetrics: async (metrics) => void logged.push(metrics),
    trouble: (error) => troubles.push(error),
  }
  const over = new AbortController()
  const ended = executor.ended(dir).finally(() => over.abort())
  await watchStep(parts, { dir, timeoutMs, over: over.signal, everyMs: 100 })
  return { dir, end: await ended, logged, troubles }
}

it("samples what the step's own processes use, under MLflow's names", async () => {
  const { logged, troubles, end } = await watched('i=0; while [ $i -lt 1500000 ]; do i=$((i+1)); done', undefined)
  expect([troubles, end.code]).toEqual([[], 0])
  expect(logged.length).toBeGreaterThan(1)
  const values = (name: string) => logged.map((metrics) => metrics.find(({ key }) => key === `system/${name}`)!.value)
  // Others may take all but a little of the machine for a while; a share instead of per cent would stay below 1.
  expect(Math.max(...values('cpu_utilization_percentage'))).toBeGreaterThan(1)
  // Not each: who is stopped between two looks at the machine sees too much once.
  const middle = values('cpu_utilization_percentage').toSorted((a, b) => a - b)[Math.floor(logged.length / 2)]
  expect(middle).toBeLessThan(120)
  expect(Math.max(...values('system_memory_usage_megabytes'))).toBeGreaterThan(0.1)
  expect(new Set(values('disk_usage_percentage'))).toEqual(new Set([75]))
  expect(new Set(values('gpu_0_utilization_percentage'))).toEqual(new Set([7]))
  expect(logged.map(([first]) => first!.step)).toEqual(logged.map((_, index) => index))
})

it('ends what runs too long, and leaves the reason beside it', async () => {
  const { dir, end } = await watched('sleep 60', 150)
  expect(end.code).toBe(143)
  expect(existsSync(timedOutMark(dir))).toBe(true)
})

it('keeps the log within its bound while the step writes on', async () => {
  // It goes on writing when little of what it wrote is left.
  const cut = 'while [ $(stat -c %b log) -gt 4000 ]; do sleep 0.05; done'
  const { dir, end } = await watched(`for i in 1 2 3 4; do head -c 3000000 /dev/zero; ${cut}; done`, undefined)
  expect(end.code).toBe(0)
  const { size, blocks } = statSync(join(dir, 'log'))
  expect(size).toBe(12_000_000)
  expect(blocks * 512).toBeLessThan(4_000_000)
})
