import type { BigIntStats } from 'node:fs'
import { constants } from 'node:fs'
import { type FileHandle, open, realpath } from 'node:fs/promises'
import { sep } from 'node:path'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { AppError, messageOf } from '../../../kernel/errors.ts'
import type { Addresses, Asking, AtAddress } from '../../../ports/addresses.ts'
import type { Clock } from '../../../ports/clock.ts'
import { tooLarge } from '../bounded.ts'

type Options = {
  /** Folders in which files may be read, links followed to where they really lead. */
  roots: readonly string[]
  mostBytes: number
  clock: Clock
}

/** A file that was written in the same tick of the file system's clock looks like the one before. */
const settledAfterMs = 2_000

/** Files of the server's own machine, below the folders that its owner named. */
export class FileAddresses implements Addresses {
  readonly #options: Options

  constructor(options: Options) {
    this.#options = options
  }

  async open(address: string, { known, signal }: Asking): Promise<AtAddress> {
    signal?.throwIfAborted()
    const file = await this.#opened(address)
    try {
      const stat = await file.stat({ bigint: true })
      if (!stat.isFile()) throw unavailable(address, 'is no file', 'Name a file.')
      const size = Number(stat.size)
      const problem = tooLarge(address, size, this.#options.mostBytes)
      if (problem) throw problem
      const validator = this.#validatorOf(stat)
      if (validator !== undefined && validator === known) {
        await file.close()
        return { state: 'unchanged' }
      }
      const content = Readable.from(bytesOf(file, address, stat, signal), { objectMode: false })
      content.once('close', () => void file.close().catch(() => undefined))
      return { state: 'content', content, size, ...(validator === undefined ? {} : { validator }) }
    } catch (error) {
      await file.close()
      throw error
    }
  }

  async #opened(address: string): Promise<FileHandle> {
    const path = await this.#allowed(address)
    // The real path holds no link; a pipe or device that stands there must not make the server wait.
    return open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch((cause: unknown) => {
      throw unavailable(address, `cannot be read: ${messageOf(cause)}`, 'Let the user who runs the server read it.')
    })
  }

  async #allowed(address: string): Promise<string> {
    const roots = await Promise.all(this.#options.roots.map((root) => realpath(root).catch(() => undefined)))
    const asked = fileURLToPath(address)
    const path = await realpath(asked).catch(() => undefined)
    // What lies outside is not told apart from what is not there.
    const inside = roots.some(
      (root) => root !== undefined && (path ?? asked).startsWith(root === sep ? sep : root + sep),
    )
    if (inside && path !== undefined) return path
    if (inside) throw unavailable(address, 'leads to no file on the server', 'Put it there, or name another file.')
    throw unavailable(
      address,
      this.#options.roots.length === 0
        ? 'is not read: the server was started without --data-roots'
        : `does not lie in a folder that --data-roots names (${this.#options.roots.join(', ')}), links followed`,
      'Start the server with --data-roots and the folder in which the data lies.',
    )
  }

  #validatorOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string | undefined {
    const changedMs = Number((ctimeNs > mtimeNs ? ctimeNs : mtimeNs) / 1_000_000n)
    return this.#options.clock.now() - changedMs > settledAfterMs
      ? `file:${[dev, ino, size, mtimeNs, ctimeNs].join(':')}`
      : undefined
  }
}

async function* bytesOf(file: FileHandle, address: string, before: BigIntStats, signal: AbortSignal | undefined) {
  for await (const chunk of file.createReadStream({ autoClose: false })) {
    signal?.throwIfAborted()
    yield chunk as Buffer
  }
  const after = await file.stat({ bigint: true })
  if (after.size === before.size && after.mtimeNs === before.mtimeNs) return
  throw new AppError(
    'DataUnreachable',
    `${address} was written to while it was read.`,
    'Try again when it is whole; write data beside it and rename it.',
  )
}

const unavailable = (address: string, what: string, next: string): AppError =>
  new AppError('DataUnavailable', `${address} ${what}.`, next)
