import { spawn } from 'node:child_process'
import { readFile, rename, stat, writeFile } from 'node:fs/promises'
import { AppError } from '../../../kernel/errors.ts'
import type { LogGap } from '../../../ports/executor.ts'

const blockBytes = 4096

const gapPath = (logPath: string): string => `${logPath}.gap`

export async function readGap(logPath: string): Promise<LogGap | undefined> {
  const text = await readFile(gapPath(logPath), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as LogGap)
}

/**
 * Keeps the first and the last half of the bound and gives the blocks between back to the disk: the command goes on writing at the
 * end and notices nothing. First what is gone is written down, then it goes, so that nobody reads the zeros in its place.
 */
export async function giveUpMiddle(logPath: string, bytes: number): Promise<void> {
  const facts = await stat(logPath).catch(() => undefined)
  if (!facts || facts.blocks * 512 <= bytes) return
  const gap = { from: wholeBlocks(bytes / 2), to: wholeBlocks(facts.size - bytes / 4) }
  if (gap.to <= gap.from) return
  const beside = `${gapPath(logPath)}.new`
  await writeFile(beside, JSON.stringify(gap))
  await rename(beside, gapPath(logPath))
  await punch(logPath, gap)
}

const wholeBlocks = (bytes: number): number => Math.floor(bytes / blockBytes) * blockBytes

/** Node has no fallocate; util-linux does. */
function punch(path: string, { from, to }: LogGap): Promise<void> {
  const tool = spawn('fallocate', ['--punch-hole', '--offset', `${from}`, '--length', `${to - from}`, path], {
    stdio: 'ignore',
  })
  return new Promise((done, fail) => {
    tool.once('error', (cause) => fail(cannotPunch(path, cause)))
    tool.once('exit', (code) => (code === 0 ? done() : fail(cannotPunch(path, undefined))))
  })
}

const cannotPunch = (path: string, cause: unknown): AppError =>
  new AppError(
    'StorageFull',
    `The log ${path} has grown beyond its bound, and this disk does not let its middle go.`,
    'Let the step write less, or keep the data folder on a file system with holes (ext4, xfs, btrfs).',
    { cause },
  )
