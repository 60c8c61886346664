import { type FileHandle, mkdir, open, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { EpochMs } from '../../kernel/time.ts'
import type { Clock } from '../../ports/clock.ts'
import { rawElements, rawMember, rawValue, wellFormed } from '../decide/raw-json.ts'
import type { PredictionRecord } from '../gateway-state.ts'
import type { Written } from '../input-failure.ts'
import type { ServingLog } from '../models/serving-log.ts'
import { closedSuffix, openSuffix } from '../segment-name.ts'
import { type Line, LineBuffer, lengthOf } from './line-buffer.ts'

/**
 * A record whose outputs are still the bytes that the worker gave: they are read when the line is written, after the answer. `written`
 * stands for the record's rows, which are not kept in memory beside it.
 */
export type JournalEntry = { record: PredictionRecord; outputs?: Buffer; written?: Written }

export type JournalLimits = { pendingBytes: number; lineBytes: number; segmentBytes: number; segmentMs: number }

export const journalLimits: JournalLimits = {
  pendingBytes: 32_000_000,
  lineBytes: 8_000_000,
  segmentBytes: 16_000_000,
  segmentMs: 60_000,
}

const sliceMs = 4

/** Written without waiting for the next flush: what dies young costs no work to clear away, what stays does. */
const hurryBytes = 256_000

type Segment = { handle: FileHandle; stem: string; since: EpochMs; bytes: number }

/**
 * The gateway's prediction journal: lines of PredictionRecord in segments `START-PID-N.open.jsonl`, which lose the `.open`
 * when they are complete. Written beside the answers, never before them; what does not fit into memory is dropped and counted.
 * The promise: a record is in the file, safe from any death of the process, at the first flush after its answer (run-gateway.ts
 * flushes every 100 ms). So kill -9 loses the records of at most the last answers before it, SIGTERM none, a power loss those of
 * the open segment that the system had not yet written.
 */
export class JournalWriter {
  written = 0
  dropped = 0
  readonly #folder: string
  readonly #clock: Clock
  readonly #log: ServingLog
  readonly #limits: JournalLimits
  #pending: JournalEntry[] = []
  #pendingBytes = 0
  #flushing: Promise<void> | undefined
  readonly #lines = new LineBuffer()
  #segment: Segment | undefined
  #count = 0
  #complained = false

  constructor(folder: string, clock: Clock, log: ServingLog, limits: JournalLimits = journalLimits) {
    this.#folder = folder
    this.#clock = clock
    this.#log = log
    this.#limits = limits
  }

  /** Completes the segments that a killed gateway left open. */
  async open(isAlive: (pid: number) => boolean): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    for (const name of await readdir(this.#folder)) {
      if (!name.endsWith(openSuffix)) continue
      const pid = Number(name.split('-')[1])
      if (pid !== process.pid && isAlive(pid)) continue
      await this.#complete(name.slice(0, -openSuffix.length)).catch((error: NodeJS.ErrnoException) => {
        // Another process of this gateway that starts now, too, was faster.
        if (error.code !== 'ENOENT') throw error
      })
    }
  }

  record(entry: JournalEntry): void {
    const bytes = sizeOf(entry)
    if (this.#pendingBytes + bytes > this.#limits.pendingBytes) {
      this.dropped++
      return
    }
    this.#pending.push(entry)
    this.#pendingBytes += bytes
    if (this.#pendingBytes >= hurryBytes && !this.#flushing) void this.flush()
  }

  /** Writes what is pending now and completes a segment that is full or old enough. Never throws. */
  async flush(): Promise<void> {
    // One that runs took what was pending when it began.
    await this.#flushing
    this.#flushing ??= this.#flushOnce().finally(() => {
      this.#flushing = undefined
    })
    await this.#flushing
  }

  async close(): Promise<void> {
    await this.flush()
    await this.#completeSegment().catch(() => undefined)
  }

  async #flushOnce(): Promise<void> {
    const entries = this.#pending
    const before = this.written
    this.#pending = []
    this.#pendingBytes = 0
    try {
      if (entries.length > 0) await this.#append(entries)
      if (this.#isFull()) await this.#completeSegment()
    } catch (error) {
      this.dropped += entries.length - (this.written - before)
      if (!this.#complained) this.#log.error({ error: String(error) }, 'predictions cannot be logged; answers go on')
      this.#complained = true
    }
  }

  async #append(entries: JournalEntry[]): Promise<void> {
    this.#lines.clear()
    let tooLong = 0
    let since = performance.now()
    for (const entry of entries) {
      const line = lineInAnyCase(entry)
      if (lengthOf(line) > this.#limits.lineBytes) tooLong++
      else this.#lines.add(line)
      if (this.#lines.isFull) await this.#writeLines()
      // Who asks meanwhile is answered in between.
      if (performance.now() - since < sliceMs) continue
      await setImmediate()
      since = performance.now()
    }
    await this.#writeLines()
    this.dropped += tooLong
  }

  async #writeLines(): Promise<void> {
    const { lines, bytes } = this.#lines
    if (lines === 0) return
    const segment = await this.#openSegment()
    try {
      await segment.handle.appendFile(bytes)
    } catch (error) {
      // One that cannot be put right takes no more lines: they would stand behind half of another.
      await this.#keepWhole(segment, bytes).catch(() => this.#completeSegment().catch(() => undefined))
      throw error
    }
    segment.bytes += bytes.length
    this.written += lines
    this.#complained = false
    this.#lines.clear()
  }

  /**
   * After a write that ended early, for want of room: the lines that are whole count, since the server may have read them; the rest is
   * cut off. So the segment goes on, where a new one at each attempt would fill a full disk with empty files.
   */
  async #keepWhole(segment: Segment, bytes: Buffer): Promise<void> {
    const { size } = await segment.handle.stat()
    const landed = bytes.subarray(0, size - segment.bytes)
    const whole = landed.subarray(0, landed.lastIndexOf(10) + 1)
    await segment.handle.truncate(segment.bytes + whole.length)
    segment.bytes += whole.length
    this.written += whole.reduce((lines, byte) => lines + Number(byte === 10), 0)
  }

  async #openSegment(): Promise<Segment> {
    if (this.#segment) return this.#segment
    const since = this.#clock.now()
    const stem = `${since}-${process.pid}-${this.#count++}`
    const handle = await open(join(this.#folder, stem + openSuffix), 'ax', 0o600)
    this.#segment = { handle, stem, since, bytes: 0 }
    return this.#segment
  }

  #isFull(): boolean {
    const segment = this.#segment
    if (!segment) return false
    return segment.bytes >= this.#limits.segmentBytes || this.#clock.now() - segment.since >= this.#limits.segmentMs
  }

  async #completeSegment(): Promise<void> {
    const segment = this.#segment
    if (!segment) return
    this.#segment = undefined
    await segment.handle.sync().catch(() => undefined)
    await segment.handle.close()
    await this.#complete(segment.stem)
  }

  async #complete(stem: string): Promise<void> {
    await rename(join(this.#folder, stem + openSuffix), join(this.#folder, stem + closedSuffix))
  }
}

/** What cannot be written as a line (values nested beyond the engine's stack) is counted without its rows; others' lines are not its matter. */
function lineInAnyCase(entry: JournalEntry): Line {
  try {
    return lineOf(entry)
  } catch {
    const { error: _, ...record } = entry.record
    return { texts: [JSON.stringify({ ...record, rows: [], sampled: false })] }
  }
}

/** One output per row where the model gave a list of as many; otherwise the whole output stands at the first row, null at the rest. */
export function lineOf({ record, outputs, written }: JournalEntry): Line {
  const { rows, ...facts } = record
  // Each without its end.
  const begun = !written
    ? rows.map((row) => wellFormed(JSON.stringify(row).slice(0, -1)))
    : 'spans' in written
      ? Array<string>(written.spans.length / 2).fill('{"input":')
      : inputsAsWritten(written).map((input) => `{"input":${input}`)
  const outputOf = outputs && outputsAsWritten(outputs, begun.length)
  const ends = begun.map((_, at) => (outputOf ? `,"output":${outputOf(at)}}` : '}'))
  const before = `${wellFormed(JSON.stringify(facts)).slice(0, -1)},"rows":[`
  if (!written || 'member' in written)
    return { texts: [`${before}${begun.map((text, at) => text + ends[at]).join()}]}`] }
  const texts = begun.map((text, at) => (at === 0 ? before : `${ends[at - 1]},`) + text)
  return { texts: [...texts, `${ends.at(-1)}]}`], copied: written }
}

function inputsAsWritten({ body, member }: { body: Buffer; member: string }): string[] {
  const text = wellFormed(body.toString('utf8'))
  return rawElements(text, rawMember(text, member)!)!
}

function outputsAsWritten(outputs: Buffer, rows: number): (row: number) => string | undefined {
  const text = wellFormed(outputs.toString('utf8'))
  const at = rawMember(text, 'predictions')
  const each = at === undefined ? undefined : rawElements(text, at)
  if (each?.length === rows) return (row) => each[row]
  return (row) => (row === 0 && at !== undefined ? rawValue(text, at) : 'null')
}

/** A rough size in memory; cheap, because it is asked for on the way of every answer. */
const sizeOf = (entry: JournalEntry): number =>
  500 +
  (entry.outputs?.length ?? 0) +
  (entry.written?.body.length ?? 0) +
  entry.record.rows.length * 40 * Object.keys(entry.record.rows[0]?.input ?? {}).length
