import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../kernel/errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Executor, Usage } from '../ports/executor.ts'
import type { NewMetric } from '../tracking/index.ts'

export type WatchParts = {
  clock: Clock
  executor: Pick<Executor, 'usage' | 'keepLogWithin' | 'kill'>
  /** The bound of a step's log. */
  logBytes: number
  killGraceMs: number
  /** The memory and processors of this machine, and what its devices use now. */
  machine: { memoryBytes: number; processors: number; disk: () => Promise<{ usedBytes: number; sizeBytes: number }> }
  gpus: () => Promise<Record<string, number>>
  logMetrics: (metrics: NewMetric[]) => Promise<void>
  /** Tells of what went wrong beside the step, which goes on. */
  trouble: (error: unknown) => void
}

const sampleMs = 5_000
/** Written before the command is ended for its time, so that whoever reads its end later knows why. */
export const timedOutMark = (dir: string): string => join(dir, 'timed-out')

/**
 * While a command runs: what it uses becomes system metrics of its run, its log is kept within its bound, and it is ended when its
 * time is over, counted by a clock that nobody sets, from its own start, whichever server saw that. Returns when told to.
 */
export async function watchStep(
  parts: WatchParts,
  {
    dir,
    timeoutMs,
    over,
    everyMs = sampleMs,
  }: { dir: string; timeoutMs: number | undefined; over: AbortSignal; everyMs?: number },
): Promise<void> {
  const { clock, executor } = parts
  let last: Usage | undefined
  for (let sample = 0; !over.aborted; ) {
    const usage = await executor.usage(dir)
    if (!usage || over.aborted) return
    const left = timeoutMs === undefined ? Number.POSITIVE_INFINITY : timeoutMs - usage.elapsedMs
    if (left <= 0) return endForTime(parts, dir)
    if (!last || usage.elapsedMs - last.elapsedMs >= everyMs) {
      await executor.keepLogWithin(dir, parts.logBytes).catch(parts.trouble)
      // Without memory it is on its way to the command, or over.
      if (last && usage.memoryBytes > 0)
        await metricsOf(parts, usage, last, sample++).then(parts.logMetrics).catch(parts.trouble)
      last = usage
    }
    // A clock that is turned wakes early: then it looks again, and rests again.
    await clock.sleep(Math.max(20, Math.min(left, everyMs)), over)
  }
}

async function endForTime({ executor, killGraceMs }: WatchParts, dir: string): Promise<void> {
  await writeFile(timedOutMark(dir), '', { flush: true })
  await executor.kill(dir, killGraceMs)
}

/** By MLflow's names and units; disk and network of MLflow are the machine's, ours of the disk the step's own. */
async function metricsOf(parts: WatchParts, now: Usage, last: Usage, step: number): Promise<NewMetric[]> {
  const { processors, memoryBytes } = parts.machine
  const seconds = (now.elapsedMs - last.elapsedMs) / 1000
  const disk = await parts.machine.disk()
  const values: Record<string, number> = {
    cpu_utilization_percentage: (100 * (now.cpuMs - last.cpuMs)) / 1000 / seconds / processors,
    system_memory_usage_megabytes: now.memoryBytes / 1e6,
    system_memory_usage_percentage: (100 * now.memoryBytes) / memoryBytes,
    disk_usage_percentage: (100 * disk.usedBytes) / disk.sizeBytes,
    disk_usage_megabytes: disk.usedBytes / 1e6,
    disk_read_megabytes: now.readBytes / 1e6,
    disk_write_megabytes: now.writtenBytes / 1e6,
    ...(await parts.gpus()),
  }
  const timestamp = parts.clock.now()
  return Object.entries(values).map(([name, value]) => ({
    key: `system/${name}`,
    value: Math.max(0, value),
    timestamp,
    step,
  }))
}

export const timedOut = (node: string, timeoutMs: number, logs: string): AppError =>
  new AppError(
    'StepTimedOut',
    `"${node}" was ended: it ran for longer than its timeout of ${timeoutMs / 1000} s.`,
    `Give it more time (timeout:), let it go on from checkpoints: after a retry, or read its log: ${logs}`,
  )
