import { execFile } from 'node:child_process'
import { statfs } from 'node:fs/promises'
import { availableParallelism, totalmem } from 'node:os'
import { promisify } from 'node:util'
import { gpusOfThisMachine } from '../executions/index.ts'

const execute = promisify(execFile)

/** What steps share of this machine, for their system metrics and their GPUs. */
export function thisMachine(dataDir: string) {
  const count = gpusOfThisMachine()
  return {
    memoryBytes: totalmem(),
    processors: availableParallelism(),
    gpuCount: count,
    disk: async () => {
      const { blocks, bavail, bsize } = await statfs(dataDir)
      return { sizeBytes: blocks * bsize, usedBytes: (blocks - bavail) * bsize }
    },
    gpus: async () => (count === 0 ? {} : gpuMetrics()),
  }
}

/** MLflow's names; NVIDIA's own tool tells. */
async function gpuMetrics(): Promise<Record<string, number>> {
  const asked = 'index,utilization.gpu,memory.used,memory.total,power.draw'
  const { stdout } = await execute('nvidia-smi', [`--query-gpu=${asked}`, '--format=csv,noheader,nounits'], {
    timeout: 2_000,
  })
  return Object.fromEntries(stdout.trim().split('\n').flatMap(metricsOfGpu))
}

function metricsOfGpu(line: string): [string, number][] {
  const [index, utilization, used, total, power] = line.split(',').map(Number)
  const values: [string, number][] = [
    [`gpu_${index}_utilization_percentage`, utilization!],
    [`gpu_${index}_memory_usage_megabytes`, used! * 1.048576],
    [`gpu_${index}_memory_usage_percentage`, (100 * used!) / total!],
    [`gpu_${index}_power_usage_watts`, power!],
  ]
  return values.filter(([, value]) => Number.isFinite(value))
}
