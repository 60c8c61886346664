import type { BigIntStats } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { crc32 } from 'node:zlib'

const remembered = 256

/**
 * The CRC-32 of each block of a large file, from when its bytes came in or were last found to have their digest, with the
 * file's identity at that time: inode, size, time of writing. A file that was touched since has none. So every read is verified,
 * at ten times the speed of SHA-256, and a range by its own blocks alone.
 * They are a cache, in a folder and in memory: lost or damaged ones cost a digest, never a wrong answer.
 */
export class BlockSums {
  readonly #folder: string
  readonly #known = new Map<string, { identity: string; sums: readonly number[] }>()

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Undefined where the file's sums were never kept, or it is another file than theirs. */
  async of(name: string, facts: BigIntStats): Promise<readonly number[] | undefined> {
    const known = this.#known.get(name) ?? (await this.#read(name))
    return known?.identity === identityOf(facts) ? known.sums : undefined
  }

  async keep(name: string, facts: BigIntStats, sums: readonly number[]): Promise<void> {
    const known = { identity: identityOf(facts), sums }
    this.#remember(name, known)
    const text = JSON.stringify(known)
    const path = this.#pathOf(name)
    const beside = `${path}.${process.pid}.${facts.ino}`
    try {
      await mkdir(dirname(path), { recursive: true })
      await writeFile(beside, `${crc32(text)}\n${text}`)
      await rename(beside, path)
    } catch {
      // A full disk, say: the object itself is kept and sound; it will be digested once more.
      await rm(beside, { force: true }).catch(() => {})
    }
  }

  async forget(name: string): Promise<void> {
    this.#known.delete(name)
    await rm(this.#pathOf(name), { force: true })
  }

  async #read(name: string) {
    const written = await readFile(this.#pathOf(name), 'utf8').catch(() => '')
    const end = written.indexOf('\n')
    const text = written.slice(end + 1)
    if (end === -1 || written.slice(0, end) !== String(crc32(text))) return undefined
    const known = JSON.parse(text) as { identity: string; sums: number[] }
    this.#remember(name, known)
    return known
  }

  #remember(name: string, known: { identity: string; sums: readonly number[] }): void {
    this.#known.delete(name)
    this.#known.set(name, known)
    if (this.#known.size > remembered) this.#known.delete(this.#known.keys().next().value!)
  }

  #pathOf(name: string): string {
    return join(this.#folder, name.slice(0, 2), name.slice(2))
  }
}

const identityOf = (facts: BigIntStats): string => [facts.dev, facts.ino, facts.size, facts.mtimeNs].join(' ')
