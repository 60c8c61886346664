import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { AppError } from '../kernel/errors.ts'

/**
 * One server per data folder. The lock is SQLite's own on a file of its own: the system lets go of it however the process ends,
 * so that no stale lock is ever left behind.
 */
export function lockDataFolder(runDir: string, name: string): { release(): void } {
  mkdirSync(runDir, { recursive: true, mode: 0o700 })
  const lock = new DatabaseSync(join(runDir, `${name}.lock`))
  try {
    lock.exec('PRAGMA busy_timeout = 300; BEGIN EXCLUSIVE')
  } catch (cause) {
    lock.close()
    if (!/locked|busy/i.test((cause as Error).message)) throw cause
    throw new AppError(
      'DataFolderBusy',
      `Another ${name} already works on ${runDir}.`,
      '`modelwright status` shows it, `modelwright down` ends it; or choose another --data-dir.',
      { cause },
    )
  }
  return { release: () => lock.close() }
}
