import { mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { AppError, messageOf } from '../kernel/errors.ts'
import { asStorageError } from '../kernel/storage-errors.ts'

/** @throws AppError DataFolderUnusable, StorageFull */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw asFolderError(path, cause)
  }
}

function asFolderError(path: string, cause: unknown): unknown {
  const { code } = cause as NodeJS.ErrnoException
  if (!code) return cause
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new AppError('StorageFull', `The disk is full: ${path} cannot be made.`, 'Free space on it.', { cause })
  return new AppError(
    'DataFolderUnusable',
    `${path} cannot be used as a folder: ${code}.`,
    'Choose another with --data-dir, or make it a folder that this user may write to.',
    { cause },
  )
}

/**
 * One server per data folder. The lock is SQLite's own on a file of its own: the system lets go of it however the process ends,
 * so that no stale lock is ever left behind.
 */
export function lockDataFolder(runDir: string, name: string): { release(): void } {
  makeFolder(runDir)
  const lock = openLock(join(runDir, `${name}.lock`))
  try {
    // Nothing is ever written, so there is nothing to journal; a journal would need room on a full disk.
    lock.exec('PRAGMA busy_timeout = 300; PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE')
  } catch (cause) {
    lock.close()
    if (!/locked|busy/i.test(messageOf(cause))) throw asStorageError(cause)
    throw new AppError(
      'DataFolderBusy',
      `Another ${name} already works on ${runDir}.`,
      '`modelwright status` shows it, `modelwright down` ends it; or choose another --data-dir.',
      { cause },
    )
  }
  return { release: () => lock.close() }
}

function openLock(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path)
  } catch (cause) {
    throw new AppError(
      'DataFolderUnusable',
      `${path} cannot be opened: ${messageOf(cause)}.`,
      'Choose another with --data-dir, or make it a folder that this user may write to.',
      { cause },
    )
  }
}

/**
 * The process that holds the lock, as the kernel tells it: never a stranger to whom a dead one's pid has passed, and also one that
 * has not come to write its facts. Undefined where nobody does; 'unknown' where the kernel does not tell.
 */
export function lockHolder(runDir: string, name: string): number | undefined | 'unknown' {
  const facts = statSync(join(runDir, `${name}.lock`), { throwIfNoEntry: false })
  if (!facts) return undefined
  try {
    // proc(5): `1: POSIX  ADVISORY  WRITE 25808 fe:00:10117825 1073741824 1073742335`
    const line = new RegExp(`^\\d+: POSIX .* WRITE (\\d+) \\w+:\\w+:${facts.ino} `, 'm')
    const pid = line.exec(readFileSync('/proc/locks', 'utf8'))?.[1]
    return pid === undefined ? undefined : Number(pid)
  } catch {
    return 'unknown'
  }
}

export const supervisorVariable = 'MODELWRIGHT_SUPERVISOR'

/**
 * The lock of a member of the family. A member whose supervisor was killed before the lock was taken gives up: the next supervisor
 * could not yet see it, and would be kept from the folder by it. @throws AppError DataFolderBusy
 */
export function lockAsMember(runDir: string, name: string, environment: NodeJS.ProcessEnv): { release(): void } {
  const lock = lockDataFolder(runDir, name)
  const supervisor = environment[supervisorVariable]
  if (supervisor === undefined || Number(supervisor) === process.ppid) return lock
  lock.release()
  throw new AppError(
    'DataFolderBusy',
    `The supervisor (pid ${supervisor}) that started this ${name} is gone.`,
    'Start it again with `modelwright up`.',
  )
}
