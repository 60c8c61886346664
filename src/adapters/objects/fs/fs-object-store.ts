import { createHash, randomUUID } from 'node:crypto'
import { constants, createReadStream } from 'node:fs'
import {
  chmod,
  copyFile,
  type FileHandle,
  mkdir,
  open,
  opendir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { type Digest, digestOf, isDigest } from '../../../kernel/digest.ts'
import { bug } from '../../../kernel/errors.ts'
import type { ObjectStore, StoredObject } from '../../../ports/object-store.ts'
import { corruptObject, differentBytes, named, unknownObject } from '../object-errors.ts'

const wholeInMemoryBytes = 1024 * 1024
const copyBufferBytes = 256 * 1024

/** Objects as read-only files `sha256/ab/cdef…` under one folder. New ones grow in `incoming/`, on the same file system. */
export class FsObjectStore implements ObjectStore {
  readonly #root: string
  readonly #incoming: string

  constructor(root: string) {
    this.#root = root
    this.#incoming = join(root, 'incoming')
  }

  async put(content: Readable | Uint8Array | string, expected?: Digest): Promise<StoredObject> {
    if (!(content instanceof Readable)) return this.#putBytes(Buffer.from(content), expected)
    return this.#grow(async (path) => {
      const file = await open(path, 'wx', 0o444)
      try {
        return await writeHashed(content, file)
      } finally {
        await file.close()
      }
    }, expected)
  }

  async putFile(path: string): Promise<StoredObject> {
    const { size } = await stat(path)
    if (size <= wholeInMemoryBytes) return this.#putBytes(await readFile(path))
    // The copy is what is digested: the file may change while it is read.
    return this.#grow(async (copy) => {
      await copyFile(path, copy, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL)
      const file = await open(copy, 'r+')
      try {
        const hashed = await hashOf(createReadStream(copy, { highWaterMark: copyBufferBytes }))
        await file.sync()
        return hashed
      } finally {
        await file.close()
      }
    })
  }

  async has(digest: Digest): Promise<boolean> {
    return (await this.#fileSize(digest)) !== undefined
  }

  async size(digest: Digest): Promise<number> {
    const size = await this.#fileSize(digest)
    if (size === undefined) throw unknownObject(digest)
    return size
  }

  async open(digest: Digest, range?: { start: number; end?: number }): Promise<Readable> {
    const file = await this.#openFile(digest)
    return Readable.from(verified(file, digest, range), { objectMode: false })
  }

  async read(digest: Digest): Promise<Uint8Array> {
    const bytes = await orUnknown(readFile(this.#pathOf(digest)), digest)
    const found = digestOf(bytes)
    if (found !== digest) throw corruptObject(digest, found)
    return bytes
  }

  async materialise(digest: Digest, path: string, mode = 0o644): Promise<void> {
    const size = await this.size(digest)
    // Beside and renamed: never half a file, and what lies at the path (a symbolic link, say) is replaced, not followed.
    const beside = join(dirname(path), `.modelwright-${randomUUID()}`)
    try {
      if (size <= wholeInMemoryBytes) await writeFile(beside, await this.read(digest), { flag: 'wx' })
      else await this.#copyVerified(digest, beside)
      await chmod(beside, mode)
      await rename(beside, path)
    } catch (error) {
      await rm(beside, { force: true })
      throw named(error, dirname(path))
    }
  }

  async remove(digest: Digest): Promise<void> {
    await rm(this.#pathOf(digest), { force: true })
  }

  async *list(): AsyncIterable<StoredObject> {
    for (const folder of await namesIn(join(this.#root, 'sha256'))) {
      for await (const { name } of await opendir(join(this.#root, 'sha256', folder))) {
        const digest = `sha256:${folder}${name}`
        const size = isDigest(digest) ? await this.#fileSize(digest) : undefined
        if (size !== undefined) yield { digest: digest as Digest, size }
      }
    }
  }

  /** Removes what a killed process left half written. To be called once at start, before anything is put. */
  async clearLeftovers(): Promise<void> {
    await rm(this.#incoming, { recursive: true, force: true })
  }

  async #putBytes(bytes: Buffer, expected?: Digest): Promise<StoredObject> {
    const digest = digestOf(bytes)
    if (expected !== undefined && expected !== digest) throw differentBytes(expected, digest)
    if (await this.#isSound(digest, bytes.length)) {
      await synchroniseFolder(dirname(this.#pathOf(digest))) // whoever put it may not have come so far yet
      return { digest, size: bytes.length }
    }
    return this.#grow(async (path) => {
      await writeFile(path, bytes, { flag: 'wx', mode: 0o444, flush: true })
      return { digest, size: bytes.length }
    })
  }

  /** Same bytes are already kept. Read again, because a put of the right bytes is the chance to mend altered ones. */
  async #isSound(digest: Digest, size: number): Promise<boolean> {
    if ((await this.#fileSize(digest)) !== size) return false
    return digestOf(await readFile(this.#pathOf(digest))) === digest
  }

  async #grow(fill: (path: string) => Promise<StoredObject>, expected?: Digest): Promise<StoredObject> {
    const path = join(this.#incoming, randomUUID())
    try {
      await mkdir(this.#incoming, { recursive: true })
      const object = await fill(path)
      if (expected !== undefined && expected !== object.digest) throw differentBytes(expected, object.digest)
      await this.#settle(path, object.digest)
      return object
    } catch (error) {
      await rm(path, { force: true })
      throw named(error, this.#root)
    }
  }

  async #settle(path: string, digest: Digest): Promise<void> {
    const target = this.#pathOf(digest)
    const made = await mkdir(dirname(target), { recursive: true })
    await chmod(path, 0o444)
    await rename(path, target)
    await synchroniseFolder(dirname(target))
    if (made !== undefined) await this.#synchroniseAbove(dirname(target), dirname(made))
  }

  async #synchroniseAbove(folder: string, top: string): Promise<void> {
    for (let above = dirname(folder); above.length >= top.length; above = dirname(above)) {
      await synchroniseFolder(above)
      if (above === dirname(above)) return
    }
  }

  async #copyVerified(digest: Digest, path: string): Promise<void> {
    await copyFile(this.#pathOf(digest), path, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL)
    const found = (await hashOf(createReadStream(path, { highWaterMark: copyBufferBytes }))).digest
    if (found !== digest) throw corruptObject(digest, found)
  }

  async #fileSize(digest: Digest): Promise<number | undefined> {
    return stat(this.#pathOf(digest)).then(
      (facts) => facts.size,
      (error) => absentOrThrow(error),
    )
  }

  #openFile(digest: Digest): Promise<FileHandle> {
    return orUnknown(open(this.#pathOf(digest), 'r'), digest)
  }

  #pathOf(digest: Digest): string {
    if (!isDigest(digest)) throw bug(`${JSON.stringify(digest)} is no digest.`)
    const hex = digest.slice('sha256:'.length)
    return join(this.#root, 'sha256', hex.slice(0, 2), hex.slice(2))
  }
}

async function writeHashed(content: Readable, file: FileHandle): Promise<StoredObject> {
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of content) {
    const bytes = Buffer.from(chunk)
    hash.update(bytes)
    size += bytes.length
    await file.appendFile(bytes)
  }
  await file.sync()
  return { digest: `sha256:${hash.digest('hex')}` as Digest, size }
}

async function hashOf(content: Readable): Promise<StoredObject> {
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of content) {
    hash.update(chunk)
    size += chunk.length
  }
  return { digest: `sha256:${hash.digest('hex')}` as Digest, size }
}

/** All bytes are hashed, those of the range (ends included) are passed on; the stream ends well only if the digest is right. */
async function* verified(file: FileHandle, digest: Digest, range: { start: number; end?: number } | undefined) {
  const hash = createHash('sha256')
  const start = range?.start ?? 0
  const end = range?.end ?? Number.POSITIVE_INFINITY
  let at = 0
  try {
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(copyBufferBytes), 0, copyBufferBytes, at)
      if (bytesRead === 0) break
      const bytes = buffer.subarray(0, bytesRead)
      hash.update(bytes)
      const part = bytes.subarray(Math.max(0, start - at), Math.max(0, Math.min(bytesRead, end + 1 - at)))
      at += bytesRead
      if (part.length > 0) yield part
    }
  } finally {
    await file.close()
  }
  const found = `sha256:${hash.digest('hex')}`
  if (found !== digest) throw corruptObject(digest, found)
}

async function orUnknown<T>(reading: Promise<T>, digest: Digest): Promise<T> {
  try {
    return await reading
  } catch (error) {
    absentOrThrow(error)
    throw unknownObject(digest)
  }
}

function absentOrThrow(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
  throw error
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).then(
    (names) => names.sort(),
    (error) => absentOrThrow(error) ?? [],
  )
}

async function synchroniseFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  await folder.sync().finally(() => folder.close())
}
