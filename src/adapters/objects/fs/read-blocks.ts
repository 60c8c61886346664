import type { FileHandle } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { crc32 } from 'node:zlib'
import type { ByteRange } from '../../../ports/object-store.ts'
import { blockBytes } from './intake.ts'

/** Both ends inclusive; empty where the end lies before the start. */
export type Span = { start: number; end: number }

export const spanOf = (range: ByteRange | undefined, size: number): Span => ({
  start: range?.start ?? 0,
  end: Math.min(range?.end ?? size - 1, size - 1),
})

/**
 * The bytes of a span, each block held against its checksum before any of it is passed on; `altered` makes the error. One block
 * is read ahead, so that disk and network need not wait for each other. The file is closed at the end, however that comes.
 */
export function readBlocks(
  file: FileHandle,
  span: Span,
  sums: readonly number[],
  altered: (block: number) => Error,
): Readable {
  return Readable.from(blocksOf(file, span, sums, altered), { objectMode: false, highWaterMark: blockBytes })
}

async function* blocksOf(file: FileHandle, span: Span, sums: readonly number[], altered: (block: number) => Error) {
  const last = Math.floor(span.end / blockBytes)
  const first = Math.floor(span.start / blockBytes)
  let ahead: Promise<Buffer> | undefined
  try {
    for (let index = first; span.start <= span.end && index <= last; index++) {
      const block = await (ahead ?? readBlock(file, index))
      ahead = index < last ? readBlock(file, index + 1) : undefined
      if (crc32(block) !== sums[index]) throw altered(index)
      const from = index * blockBytes
      yield block.subarray(Math.max(0, span.start - from), Math.max(0, span.end + 1 - from))
    }
  } finally {
    await ahead?.catch(() => {})
    await file.close()
  }
}

async function readBlock(file: FileHandle, index: number): Promise<Buffer> {
  const block = Buffer.allocUnsafeSlow(blockBytes)
  let read = 0
  for (;;) {
    const { bytesRead } = await file.read(block, read, blockBytes - read, index * blockBytes + read)
    read += bytesRead
    if (bytesRead === 0 || read === blockBytes) return block.subarray(0, read)
  }
}
