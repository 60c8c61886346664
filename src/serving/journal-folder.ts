import { type FileHandle, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { EpochMs } from '../kernel/time.ts'
import type { PredictionRecord } from './gateway-state.ts'
import { withNames } from './prediction-row.ts'
import { closedSuffix, openSuffix } from './segment-name.ts'

const chunkBytes = 1 << 20

export type Segment = { name: string; startedAt: EpochMs; isOpen: boolean }
/** Whole lines of a segment from an offset on; `end` is the offset after the last of them. */
export type Lines = { records: PredictionRecord[]; bad: number; end: number }

/** The server's side of the gateways' journals: reads whole lines, never writes one. */
export class JournalFolder {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  pathOf(name: string): string {
    return join(this.#folder, name + closedSuffix)
  }

  /** By age, the oldest first. */
  async segments(): Promise<Segment[]> {
    const names = await readdir(this.#folder).catch(() => [])
    const found = new Map<string, Segment>()
    for (const file of names) {
      const isOpen = file.endsWith(openSuffix)
      if (!isOpen && !file.endsWith(closedSuffix)) continue
      const name = file.slice(0, -(isOpen ? openSuffix : closedSuffix).length)
      const startedAt = Number(name.split('-')[0])
      // Seen under both names while it was renamed: then it is closed.
      if (Number.isSafeInteger(startedAt) && !(found.has(name) && isOpen)) found.set(name, { name, startedAt, isOpen })
    }
    return [...found.values()].sort((a, b) => a.startedAt - b.startedAt || (a.name < b.name ? -1 : 1))
  }

  /** At most about a megabyte of whole lines (one line where it is longer). A half line at the end waits, or is torn for ever. */
  async linesFrom(name: string, offset: number, wanted: (line: string) => boolean = () => true): Promise<Lines> {
    const file = await this.#open(name)
    if (!file) return { records: [], bad: 0, end: offset }
    try {
      const bytes = await wholeLines(file, offset)
      const records: PredictionRecord[] = []
      let bad = 0
      for (const line of bytes.toString('utf8').split('\n')) {
        if (line === '' || !wanted(line)) continue
        const record = parseRecord(line)
        if (record) records.push(record)
        else bad++
      }
      return { records, bad, end: offset + bytes.length }
    } finally {
      await file.close()
    }
  }

  async *recordsOf(name: string, wanted?: (line: string) => boolean): AsyncGenerator<PredictionRecord> {
    for (let offset = 0; ; ) {
      const lines = await this.linesFrom(name, offset, wanted)
      yield* lines.records
      if (lines.end === offset) return
      offset = lines.end
    }
  }

  async remove(name: string): Promise<void> {
    await rm(this.pathOf(name), { force: true })
  }

  async #open(name: string): Promise<FileHandle | undefined> {
    // The gateway may close the segment between the two looks, never open it again.
    for (const suffix of [closedSuffix, openSuffix, closedSuffix])
      try {
        return await open(join(this.#folder, name + suffix), 'r')
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      }
    return undefined
  }
}

async function wholeLines(file: FileHandle, offset: number): Promise<Buffer> {
  for (let size = chunkBytes; ; size *= 4) {
    const buffer = Buffer.allocUnsafe(size)
    const { bytesRead } = await file.read(buffer, 0, size, offset)
    const end = buffer.subarray(0, bytesRead).lastIndexOf(10) + 1
    if (end > 0 || bytesRead < size) return buffer.subarray(0, end)
  }
}

function parseRecord(line: string): PredictionRecord | undefined {
  try {
    const value = JSON.parse(line) as Partial<PredictionRecord>
    const isWhole =
      typeof value.id === 'string' &&
      typeof value.at === 'number' &&
      typeof value.project === 'string' &&
      typeof value.environment === 'string' &&
      typeof value.digest === 'string' &&
      typeof value.latencyMs === 'number' &&
      Array.isArray(value.rows)
    if (!isWhole) return undefined
    const record = value as PredictionRecord
    for (const row of record.rows) row.input = withNames(row.input)
    return record
  } catch {
    return undefined
  }
}
