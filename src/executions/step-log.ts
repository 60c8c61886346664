import { type FileHandle, open } from 'node:fs/promises'
import type { LogGap } from '../ports/executor.ts'
import type { Mask } from './decide/mask.ts'

export type LogSource = {
  path: string
  /** The secrets that may still stand in it in clear; none once the step is over. */
  mask: Mask
  gap: LogGap | undefined
  /** Nothing more will be written. */
  ended: boolean
}

export type LogPiece = { text: string; offset: number; ended: boolean }
export type FoundLine = { offset: number; line: string }

const chunkBytes = 1_000_000
const longestTailBytes = 4_000_000
/** So much is looked through at one call: what asks on waits no longer than a moment. */
const searchBytes = 64_000_000
const longestLine = 2_000
const lineFeed = 10

/**
 * The one way to a step's log: never the whole in memory, secrets masked also where a piece ends in the middle of one, and what was
 * given up said in its place.
 */
export class StepLog {
  readonly #source: LogSource

  constructor(source: LogSource) {
    this.#source = source
  }

  /** From a byte offset on, ending at a line's end where there is one; `ended` when no more will come. */
  async piece(range: { offset: number; limit: number }): Promise<LogPiece> {
    return this.#withFile({ text: '', offset: range.offset, ended: this.#source.ended }, async (file, size) => {
      const { gap } = this.#source
      if (gap && range.offset >= gap.from && range.offset < gap.to)
        return { text: givenUp(gap), offset: gap.to, ended: false }
      const until = Math.min(size, range.offset + range.limit, gap && range.offset < gap.from ? gap.from : size)
      const bytes = await this.#read(file, range.offset, until, size)
      const isLast = until === size
      const whole = isLast ? bytes : bytes.subarray(0, lineEndIn(bytes) ?? characterEndIn(bytes))
      return {
        text: whole.toString('utf8'),
        offset: range.offset + whole.length,
        ended: this.#source.ended && isLast,
      }
    })
  }

  /** The last lines, and where one reads on. */
  async tail(lines: number): Promise<LogPiece> {
    return this.#withFile({ text: '', offset: 0, ended: this.#source.ended }, async (file, size) => {
      const floor = Math.max(this.#source.gap?.to ?? 0, size - longestTailBytes)
      let from = size
      let bytes: Buffer = Buffer.alloc(0)
      while (from > floor && countOf(bytes) <= lines) {
        from = Math.max(floor, from - 4 * (bytes.length || chunkBytes / 16))
        bytes = await this.#read(file, from, size, size)
      }
      const start = startOfLast(bytes, lines)
      return { text: bytes.subarray(start).toString('utf8'), offset: from + bytes.length, ended: this.#source.ended }
    })
  }

  /** Lines that hold the text, from an offset on; `next` where one asks on, absent at the end. */
  async search(request: {
    text: string
    offset: number
    limit: number
  }): Promise<{ items: FoundLine[]; next?: number }> {
    const items: FoundLine[] = []
    return this.#withFile({ items }, async (file, size) => {
      const wanted = Buffer.from(request.text, 'utf8')
      let offset = request.offset
      while (offset < size && offset - request.offset < searchBytes) {
        const { gap } = this.#source
        if (gap && offset >= gap.from && offset < gap.to) offset = gap.to
        const until = Math.min(size, offset + chunkBytes, gap && offset < gap.from ? gap.from : size)
        const bytes = await this.#read(file, offset, until, size)
        if (bytes.length === 0) break
        // A line that is longer than a chunk is looked through in pieces that overlap by what is looked for.
        const end = until === size ? bytes.length : (lineEndIn(bytes) ?? Math.max(1, bytes.length - wanted.length + 1))
        for (const found of linesWith(
          bytes.subarray(0, Math.min(bytes.length, end + wanted.length - 1)),
          wanted,
          end,
        )) {
          if (items.length === request.limit) return { items, next: offset + found.at }
          items.push({ offset: offset + found.at, line: found.line })
        }
        offset += end
      }
      return offset < size ? { items, next: offset } : { items }
    })
  }

  /** Bytes from `from` to `until`, secrets masked, without the beginning of one that is still being written. */
  async #read(file: FileHandle, from: number, until: number, size: number): Promise<Buffer> {
    const { mask, ended } = this.#source
    const first = Math.max(0, from - mask.reach)
    const last = Math.min(size, until + mask.reach)
    if (last <= first) return Buffer.alloc(0)
    const around = await readWhole(file, first, last)
    const safe = last === size && !ended ? mask.safeEnd(around) : around.length
    mask.hide(around)
    return around.subarray(from - first, Math.max(from - first, Math.min(until - first, safe)))
  }

  async #withFile<T>(absent: T, read: (file: FileHandle, size: number) => Promise<T>): Promise<T> {
    const file = await open(this.#source.path).catch(() => undefined)
    if (!file) return absent
    try {
      return await read(file, (await file.stat()).size)
    } finally {
      await file.close()
    }
  }
}

/** Overwrites secrets in a log that nobody writes to any more. Twice is as good as once, so that a crash in between does no harm. */
export async function maskFile(path: string, mask: Mask, gap: LogGap | undefined): Promise<void> {
  if (mask.reach === 0) return
  const file = await open(path, 'r+').catch(() => undefined)
  if (!file) return
  try {
    const { size } = await file.stat()
    const step = Math.max(chunkBytes, 4 * mask.reach)
    for (let from = 0; from < size; from += step - mask.reach) {
      // The hole stays one: nothing is written there.
      if (gap && from >= gap.from && from + step <= gap.to) continue
      const bytes = await readWhole(file, from, Math.min(size, from + step))
      const before = Buffer.from(bytes)
      mask.hide(bytes)
      if (!before.equals(bytes)) await file.write(bytes, 0, bytes.length, from)
    }
    await file.datasync()
  } finally {
    await file.close()
  }
}

async function readWhole(file: FileHandle, from: number, until: number): Promise<Buffer> {
  const buffer = Buffer.alloc(until - from)
  const { bytesRead } = await file.read(buffer, 0, buffer.length, from)
  return buffer.subarray(0, bytesRead)
}

const givenUp = ({ from, to }: LogGap): string =>
  `\n[… ${to - from} bytes were given up: the log grew beyond its bound …]\n`

function lineEndIn(bytes: Buffer): number | undefined {
  const end = bytes.lastIndexOf(lineFeed)
  return end < 0 ? undefined : end + 1
}

/** Without the beginning of a character whose rest comes later. */
function characterEndIn(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(4, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!
    if ((byte & 0xc0) === 0x80) continue
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
    return length > back && bytes.length > back ? bytes.length - back : bytes.length
  }
  return bytes.length
}

function countOf(bytes: Buffer): number {
  let count = 0
  for (let at = bytes.indexOf(lineFeed); at >= 0; at = bytes.indexOf(lineFeed, at + 1)) count++
  return count
}

/** Where the last lines begin; a line without its end counts as one. */
function startOfLast(bytes: Buffer, lines: number): number {
  let at = bytes.length - (bytes.at(-1) === lineFeed ? 1 : 0)
  for (let left = lines; left > 0; left--) {
    const before = at === 0 ? -1 : bytes.lastIndexOf(lineFeed, at - 1)
    if (before < 0) return 0
    at = before
  }
  return at + 1
}

/** Each line once that holds the text before `end`; what a very long one holds around it. */
function* linesWith(bytes: Buffer, wanted: Buffer, end: number): Generator<{ at: number; line: string }> {
  for (let at = bytes.indexOf(wanted); at >= 0 && at < end; ) {
    const start = at === 0 ? 0 : bytes.lastIndexOf(lineFeed, at - 1) + 1
    const lineEnd = bytes.indexOf(lineFeed, at)
    const stop = lineEnd < 0 ? bytes.length : lineEnd
    const from = Math.max(start, at - longestLine / 2)
    yield { at: from, line: bytes.subarray(from, Math.min(stop, from + longestLine)).toString('utf8') }
    if (lineEnd < 0) return
    at = bytes.indexOf(wanted, stop)
  }
}
