import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type Digest, digestOf, digestOfJson, shortDigest } from '../../kernel/digest.ts'
import type { EpochMs } from '../../kernel/time.ts'
import { readMlmodel } from '../models/mlmodel-file.ts'
import { readConversion } from './conversion.ts'

const longestMs = 86_400_000

/** What became of a model before: converted, or refused for good. */
export type Kept = { folder: string } | { refused: string; next: string }

/**
 * Conversions by the content of what was converted and of what converts. Each lies in a folder of its own, which appears whole;
 * who finds it there need not ask again.
 */
export class ConversionCache {
  readonly #root: string
  readonly #converter: Digest

  /** @param converter digest of the converter and of the packages that it needs: another one may convert what this one refuses */
  constructor(root: string, converter: Digest) {
    this.#root = root
    this.#converter = converter
  }

  /** The name of a model's conversion; reads all its bytes. */
  async key(model: string): Promise<string> {
    const digest = digestOfJson({ converter: this.#converter, files: await digests(model) })
    return digest.replace(/^sha256:/, '')
  }

  /** Where the form of that name lies, if there is one. */
  folder(key: string): string {
    return join(this.#root, key, 'model')
  }

  async find(key: string): Promise<Kept | undefined> {
    const folder = this.folder(key)
    if (isWhole(folder)) return { folder }
    const text = await readFile(join(this.#root, key, 'refused.json'), 'utf8').catch(() => undefined)
    return text === undefined ? undefined : (JSON.parse(text) as { refused: string; next: string })
  }

  /** Somewhere to work beside the place, so that it can be moved there whole. What a killed process left is swept out. */
  async workspace(now: EpochMs): Promise<string> {
    await mkdir(this.#root, { recursive: true, mode: 0o700 })
    for (const name of await readdir(this.#root)) {
      const path = join(this.#root, name)
      const age = now - (await stat(path).catch(() => ({ mtimeMs: now }))).mtimeMs
      if (name.startsWith('.making-') && age > longestMs) await rm(path, { recursive: true, force: true })
    }
    return mkdtemp(join(this.#root, `.making-${shortDigest(this.#converter)}-`))
  }

  /** @param made a folder `model` inside a workspace @returns where it lies from now on */
  async keep(key: string, workspace: string): Promise<string> {
    const place = join(this.#root, key)
    if (!isWhole(join(place, 'model'))) await rm(place, { recursive: true, force: true })
    // Another process may have been sooner; its proof is as good.
    await rename(workspace, place).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
    return join(place, 'model')
  }

  /** One that turned out to be unusable. */
  async forget(key: string): Promise<void> {
    await rm(join(this.#root, key), { recursive: true, force: true })
  }

  async refuse(key: string, workspace: string, refused: string, next: string): Promise<void> {
    const place = join(workspace, 'refused')
    await mkdir(place)
    await writeFile(join(place, 'refused.json'), JSON.stringify({ refused, next }))
    await this.keep(key, place)
  }
}

function isWhole(folder: string): boolean {
  try {
    return readConversion(folder) !== undefined && readMlmodel(folder).onnxFile !== undefined
  } catch {
    // Somebody has changed it: it is made again.
    return false
  }
}

/** The digest of each file, in the order of their names; Python's byte code is no part of a model. */
async function digests(folder: string): Promise<[string, string][]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.includes('__pycache__'))
    .toSorted()
  return Promise.all(files.map(async (path) => [path.slice(folder.length), await digestOfFile(path)]))
}

async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}

/** Of the files of a folder that make what it does: code and lists of packages. */
export async function digestOfSources(folder: string): Promise<Digest> {
  const names = (await readdir(folder)).filter((name) => /\.(py|in)$/.test(name)).toSorted()
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')))
  return digestOf(texts.join('\0'))
}
