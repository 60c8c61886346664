import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { LocalExecutor } from './local-executor.ts'
import { launcherScript } from './testing/launcher-script.ts'

const top = mkdtempSync(join(tmpdir(), 'modelwright-limits-'))
const executor = new LocalExecutor({ launcher: launcherScript })
const env = { PATH: '/usr/bin:/bin' }
let count = 0
afterAll(() => rmSync(top, { recursive: true, force: true }))

const started = async (command: string, limits?: { memoryBytes?: number; cpus?: number }) => {
  const dir = join(top, String(count++))
  mkdirSync(dir)
  await executor.start({ dir, cwd: top, command, env, ...(limits ? { limits } : {}) })
  return dir
}

/** Fills memory by a shell that keeps doubling a text. */
const hungry = 'x=0123456789; while :; do x=$x$x; done'

const { memory } = await executor.abilities()

describe('limits', () => {
  const counted = memory.holds === 'together'
  if (!counted) console.warn(`memory: held for each process only: ${memory.means}`)

  it('ends what takes more memory than it may, and says so', async () => {
    const dir = await started(`( ${hungry} ); echo "inner ended with $?"; exit 3`, { memoryBytes: 50_000_000 })
    const end = await executor.ended(dir)
    expect(end.code).not.toBe(0)
    if (counted) {
      expect(end.memory?.kills).toBeGreaterThan(0)
      expect(end.memory?.peakBytes).toBeLessThanOrEqual(52_000_000)
    }
    executor.dissolve(dir)
    expect((await executor.ended(dir)).memory).toBeUndefined()
  })

  it('leaves what stays within its limits alone', async () => {
    const dir = await started('echo well', { memoryBytes: 500_000_000, cpus: 2 })
    const end = await executor.ended(dir)
    expect(end.code).toBe(0)
    expect(readFileSync(executor.logPath(dir), 'utf8')).toBe('well\n')
    if (counted) expect(end.memory?.kills).toBe(0)
    executor.dissolve(dir)
  })

  it.skipIf(!counted)('gives half a processor where half is asked for', async () => {
    const dir = await started('while :; do :; done', { cpus: 0.5 })
    await new Promise((done) => setTimeout(done, 800))
    const usage = (await executor.usage(dir))!
    expect(usage.cpuMs / usage.elapsedMs).toBeLessThan(0.75)
    await executor.kill(dir, 0)
    executor.dissolve(dir)
  })

  it('finds, through its group, also what has left everything else behind', async () => {
    const dir = await started('env -i setsid sleep 78 & sleep 0.1', { memoryBytes: 500_000_000 })
    await executor.ended(dir)
    await executor.kill(dir, 0)
    executor.dissolve(dir)
    if (counted) expect((await executor.ended(dir)).memory).toBeUndefined()
  })
})

it('tells what a running command uses, and nothing once it ended', async () => {
  const dir = await started('i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sleep 60')
  let usage = await executor.usage(dir)
  while ((usage?.cpuMs ?? 0) < 10) usage = await executor.usage(dir)
  expect(usage!.memoryBytes).toBeGreaterThan(100_000)
  expect(usage!.elapsedMs).toBeGreaterThan(5)
  await executor.kill(dir, 0)
  expect(await executor.usage(dir)).toBeUndefined()
})

it('gives up the middle of a log that grew beyond its bound, and the command writes on', async () => {
  const dir = await started('head -c 8000000 /dev/zero | tr "\\0" a; echo; echo end; sleep 60')
  const log = executor.logPath(dir)
  while (statSync(log).size < 8_000_005) await new Promise((done) => setTimeout(done, 5))
  await executor.keepLogWithin(dir, 1_000_000)
  const gap = (await executor.logGap(dir))!
  expect(gap.from).toBeGreaterThan(400_000)
  expect(gap.to).toBeGreaterThan(7_000_000)
  expect(statSync(log).size).toBe(8_000_005)
  expect(statSync(log).blocks * 512).toBeLessThanOrEqual(1_000_000)
  expect(readFileSync(log).subarray(-5).toString()).toBe('\nend\n')
  await executor.keepLogWithin(dir, 1_000_000)
  expect(await executor.logGap(dir)).toEqual(gap)
  await executor.kill(dir, 0)
  expect(existsSync(log)).toBe(true)
})
