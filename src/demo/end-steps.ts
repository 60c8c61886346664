import { glob } from 'node:fs/promises'
import { join } from 'node:path'
import type { Executor } from '../ports/executor.ts'

/**
 * Ends the steps that outlived their server, so that nothing of the demo goes on. Killed with their runner they leave no exit
 * status: the next start takes them for lost and carries them out anew, instead of calling them failed.
 */
export async function endSteps(workDir: string, executor: Executor): Promise<void> {
  for await (const attempt of glob('*/*/*', { cwd: workDir })) {
    const dir = join(workDir, attempt)
    const seen = await executor.observe(dir)
    if (seen.state !== 'running') continue
    try {
      // A runner leads a process group of its own.
      process.kill(-seen.pid, 'SIGKILL')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
    await executor.kill(dir, 0)
  }
}
