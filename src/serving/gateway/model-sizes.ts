import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { replaceFile } from '../../files/replace-file.ts'
import type { EpochMs } from '../../kernel/time.ts'
import type { ServedVersion } from '../gateway-state.ts'
import { describeModel, formPath } from '../models/open-backend.ts'
import { leastGraphBytes } from '../models/probe-onnx.ts'

/** Per process that carries the model. `isEstimate`: it was never loaded on this machine. */
export type ModelSize = { bytes: number; isEstimate: boolean }

type Known = {
  bytes: number
  at: EpochMs
  /** The file that a disposable process loaded and ran, as it was then: another one is tried again. */
  proven?: string
}

/** An import of mlflow and numpy alone takes that much. */
const leastPythonBytes = 150_000_000

/** What models take in memory, by the digest of their version and its form: measured here once they were loaded, kept in `sizes.json` across restarts. */
export class ModelSizes {
  readonly #path: string
  readonly #now: () => EpochMs
  readonly #known: Map<string, Known>
  readonly #estimates = new Map<string, number>()
  #writing: Promise<void> | undefined
  #isDirty = false

  constructor(folder: string, now: () => EpochMs) {
    this.#path = join(folder, 'sizes.json')
    this.#now = now
    this.#known = readKnown(this.#path)
  }

  sizeOf(served: ServedVersion): ModelSize {
    const key = keyOf(served)
    const known = this.#known.get(key)
    if (known) return { bytes: known.bytes, isEstimate: false }
    const estimate = this.#estimates.get(key) ?? estimateOf(formPath(served))
    this.#estimates.set(key, estimate)
    return { bytes: estimate, isEstimate: true }
  }

  measured(served: ServedVersion, bytes: number): void {
    const known = this.#known.get(keyOf(served))
    // Within a twentieth it is the same size: the file need not be written for it.
    if (known && Math.abs(known.bytes - bytes) <= known.bytes / 20) return
    this.#keep(keyOf(served), { ...known, bytes: Math.round(bytes), at: this.#now() })
  }

  /** Whether a disposable process has loaded exactly this file: then it need not be tried at each waking. */
  isProven(served: ServedVersion, file: string): boolean {
    return this.#known.get(keyOf(served))?.proven === marksOf(file)
  }

  proved(served: ServedVersion, file: string, bytes: number): void {
    this.#keep(keyOf(served), { bytes: Math.round(bytes), at: this.#now(), proven: marksOf(file) })
  }

  /** Until what is known is on the disk. */
  async settled(): Promise<void> {
    while (this.#writing) await this.#writing
  }

  #keep(key: string, known: Known): void {
    this.#known.set(key, known)
    this.#isDirty = true
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
  }

  async #write(): Promise<void> {
    while (this.#isDirty) {
      this.#isDirty = false
      // Other processes of the gateway measure as well: what they wrote stays.
      const all = new Map([...readKnown(this.#path), ...this.#known])
      const text = JSON.stringify(Object.fromEntries(all))
      // A full disk: it is measured again after a restart.
      await replaceFile(this.#path, text).catch(() => undefined)
    }
  }
}

/** A graph takes far less than the Python that it stands in for. */
const keyOf = ({ digest, graphPath }: ServedVersion): string => (graphPath === undefined ? digest : `${digest}:onnx`)

function readKnown(path: string): Map<string, Known> {
  try {
    const read = JSON.parse(readFileSync(path, 'utf8')) as Record<string, Known>
    return new Map(Object.entries(read).filter(([, { bytes }]) => Number.isFinite(bytes) && bytes > 0))
  } catch {
    return new Map()
  }
}

/** Three times what lies on the disk: weights are unpacked, and what computes with them needs as much again. */
function estimateOf(folder: string): number {
  const least = describeModel(folder)?.onnxFile ? leastGraphBytes : leastPythonBytes
  return Math.max(least, 3 * folderBytes(folder))
}

function folderBytes(folder: string): number {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
  } catch {
    return 0
  }
}

function marksOf(file: string): string {
  const facts = statSync(file, { throwIfNoEntry: false })
  return facts ? `${facts.size}:${facts.mtimeMs}` : 'absent'
}
