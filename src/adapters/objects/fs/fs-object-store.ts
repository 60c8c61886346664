import { randomUUID } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import {
  chmod,
  copyFile,
  type FileHandle,
  link,
  mkdir,
  open,
  opendir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { mayDoAtOnce } from '../../../files/at-once.ts'
import { type Digest, digestOf, isDigest } from '../../../kernel/digest.ts'
import { bug } from '../../../kernel/errors.ts'
import type {
  ByteRange,
  ObjectStore,
  PutOptions,
  Received,
  ReceivedId,
  StoredObject,
} from '../../../ports/object-store.ts'
import { alteredBlock, alteredReceived, corruptObject, differentBytes, named, unknownObject } from '../object-errors.ts'
import { BlockSums } from './block-sums.ts'
import { absentOrThrow, namesIn, synchroniseFolder } from './files.ts'
import { type FileFacts, HashThreads } from './hash-threads.ts'
import { blockBytes, blockSumsOf, chunksOf, startOf, takeIn } from './intake.ts'
import { readBlocks, spanOf } from './read-blocks.ts'
import { ReceivedFiles } from './received-files.ts'

type Durable = NonNullable<PutOptions['durable']>

const clockTrustedMs = 10_000
/** File systems stamp with a clock that goes in steps: one of them may have been about to come. */
const tickMs = 10

/**
 * Objects as read-only files `sha256/ab/cdef…` under one folder. New ones grow in `incoming/`, what has no digest yet lies in
 * `received/`, all on the same file system. What is larger than a block is digested in a thread and keeps checksums of its
 * blocks in `sums/`.
 */
export class FsObjectStore implements ObjectStore {
  readonly #root: string
  readonly #incoming: string
  /** Objects on the way out. */
  readonly #unused: string
  readonly #sums: BlockSums
  readonly #threads = new HashThreads()
  readonly #received: ReceivedFiles
  readonly #verifying = new Map<Digest, Promise<void>>()
  #clock: { at: number; time: number } | undefined

  constructor(root: string) {
    this.#root = root
    this.#incoming = join(root, 'incoming')
    this.#unused = join(root, 'unused')
    this.#sums = new BlockSums(join(root, 'sums'))
    this.#received = new ReceivedFiles(
      { incoming: this.#incoming, received: join(root, 'received') },
      this.#sums,
      this.#threads,
    )
  }

  async put(
    content: Readable | Uint8Array | string,
    expected?: Digest,
    { durable = 'now' }: PutOptions = {},
  ): Promise<StoredObject> {
    if (!(content instanceof Readable)) return this.#putBytes(Buffer.from(content), durable, expected)
    const { whole, chunks } = await startOf(chunksOf(content), blockBytes)
    return whole
      ? this.#putBytes(whole, durable, expected)
      : this.#grow((path) => this.#digested(path, chunks), expected)
  }

  async putFile(path: string, { durable = 'now' }: PutOptions = {}): Promise<StoredObject> {
    const small = await readSmall(path)
    if (small) return this.#putBytes(small, durable)
    // The copy is what is digested: the file may change while it is read.
    return this.#grow(
      async (copy) => {
        await copyFile(path, copy, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL)
        const [facts] = await Promise.all([
          this.#threads.file(copy, blockBytes),
          durable === 'now' && synchroniseFile(copy),
        ])
        return facts
      },
      undefined,
      durable,
    )
  }

  receive(content: Readable): Promise<Received> {
    return this.#received.receive(content)
  }

  openReceived(id: ReceivedId, range?: ByteRange): Promise<Readable> {
    return this.#received.open(id, range)
  }

  async settle(ids: readonly ReceivedId[]): Promise<StoredObject> {
    const [only] = ids
    if (only === undefined || ids.length > 1) return this.#grow((path) => this.#digested(path, this.#joined(ids)))
    return this.#grow(async (path) => {
      const { path: from, sums } = await this.#received.facts(only)
      const facts = await this.#threads.file(from, blockBytes)
      const wrong = facts.blockSums.findIndex((sum, block) => sum !== sums[block])
      if (wrong >= 0 || facts.blockSums.length !== sums.length) throw alteredReceived(only, wrong)
      await link(from, path)
      await this.#renew(path)
      return facts
    })
  }

  discard(id: ReceivedId): Promise<void> {
    return this.#received.discard(id)
  }

  listReceived(): AsyncIterable<ReceivedId> {
    return this.#received.list()
  }

  async isReceivedIdle(id: ReceivedId, ms: number): Promise<boolean> {
    const changed = await this.#received.changedMs(id)
    return changed === undefined || changed <= (await this.#nowMs()) - ms
  }

  async removeIdle(digest: Digest, ms: number): Promise<boolean> {
    const path = this.#pathOf(digest)
    const before = (await this.#nowMs()) - ms
    const facts = await stat(path).catch(absentOrThrow)
    if (!facts || facts.mtimeMs > before) return false
    // Out of the way first, then looked at again: a put that found the object meanwhile has renewed its time.
    await mkdir(this.#unused, { recursive: true })
    const aside = join(this.#unused, sumsName(digest))
    if (!(await rename(path, aside).then(() => true, absentOrThrow))) return false
    if ((await stat(aside)).mtimeMs > before) {
      await rename(aside, path)
      return false
    }
    await rm(aside)
    await this.#sums.forget(sumsName(digest))
    return true
  }

  async has(digest: Digest): Promise<boolean> {
    return (await this.#fileSize(digest)) !== undefined
  }

  sizeIfKept(digest: Digest): Promise<number | undefined> {
    return this.#fileSize(digest)
  }

  async size(digest: Digest): Promise<number> {
    const size = await this.#fileSize(digest)
    if (size === undefined) throw unknownObject(digest)
    return size
  }

  async open(digest: Digest, range?: ByteRange): Promise<Readable> {
    const size = await this.size(digest)
    const span = spanOf(range, size)
    if (size <= blockBytes) return Readable.from([(await this.read(digest)).subarray(span.start, span.end + 1)])
    const { file, sums } = await this.#openVerified(digest)
    return readBlocks(file, span, sums, (block) => alteredBlock(digest, block))
  }

  async read(digest: Digest): Promise<Uint8Array> {
    const bytes = await orUnknown(readWhole(this.#pathOf(digest)), digest)
    return sound(bytes, digest)
  }

  async materialise(digest: Digest, path: string, mode = 0o644): Promise<void> {
    const small = await orUnknown(readSmall(this.#pathOf(digest)), digest)
    // Beside and renamed: never half a file, and what lies at the path (a symbolic link, say) is replaced, not followed.
    const beside = join(dirname(path), `.modelwright-${randomUUID()}`)
    try {
      if (small) copySmall(sound(small, digest), beside, mode)
      else await this.#copyVerified(digest, beside).then(() => chmod(beside, mode))
      renameSync(beside, path)
    } catch (error) {
      await rm(beside, { force: true })
      throw named(error, dirname(path))
    }
  }

  async remove(digest: Digest): Promise<void> {
    await rm(this.#pathOf(digest), { force: true })
    await this.#sums.forget(sumsName(digest))
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

  /** Removes what a killed process left half written, and brings back what it had half removed. To be called once at start. */
  async clearLeftovers(): Promise<void> {
    await rm(this.#incoming, { recursive: true, force: true })
    for (const hex of await namesIn(this.#unused))
      await rename(join(this.#unused, hex), this.#pathOf(`sha256:${hex}` as Digest))
  }

  /** Gives up what is being digested, so that a server can stop. */
  close(): void {
    this.#threads.close()
  }

  async #putBytes(bytes: Buffer, durable: Durable, expected?: Digest): Promise<StoredObject> {
    const digest = digestOf(bytes)
    if (expected !== undefined && expected !== digest) throw differentBytes(expected, digest)
    if (await this.#isKept(digest, bytes, durable)) return { digest, size: bytes.length }
    if (durable === 'soon' && bytes.length <= blockBytes) return this.#putSmall(bytes, digest)
    const fill = async (path: string) => {
      await writeFile(path, bytes, { flag: 'wx', mode: 0o444, flush: durable === 'now' })
      return { hex: digest.slice('sha256:'.length), size: bytes.length, blockSums: blockSumsOf(bytes) }
    }
    return this.#grow(fill, undefined, durable)
  }

  #putSmall(bytes: Buffer, digest: Digest): StoredObject {
    const [beside, target] = [join(this.#incoming, randomUUID()), this.#pathOf(digest)]
    try {
      for (const folder of [this.#incoming, dirname(target)]) mkdirSync(folder, { recursive: true })
      copySmall(bytes, beside, 0o444)
      renameSync(beside, target)
      return { digest, size: bytes.length }
    } catch (error) {
      rmSync(beside, { force: true })
      throw named(error, this.#root)
    }
  }

  /** Same bytes are already kept. Read again, because a put of the right bytes is the chance to mend altered ones. */
  async #isKept(digest: Digest, bytes: Buffer, durable: Durable): Promise<boolean> {
    const path = this.#pathOf(digest)
    const kept = await readWhole(path).catch(absentOrThrow)
    if (!kept?.equals(bytes)) return false
    // What collects unused objects may have taken it away just now.
    if (!(await this.#renew(path).then(() => true, absentOrThrow))) return false
    // Whoever put it may not have come so far yet, or had no need to.
    if (durable === 'now')
      await Promise.all([
        synchroniseFile(path),
        synchroniseFolder(dirname(path)),
        this.#synchroniseAbove(path, this.#root),
      ])
    return true
  }

  async #grow(
    fill: (path: string) => Promise<FileFacts>,
    expected?: Digest,
    durable: Durable = 'now',
  ): Promise<StoredObject> {
    const path = join(this.#incoming, randomUUID())
    try {
      await mkdir(this.#incoming, { recursive: true })
      const { hex, size, blockSums } = await fill(path)
      const digest = `sha256:${hex}` as Digest
      if (expected !== undefined && expected !== digest) throw differentBytes(expected, digest)
      await this.#settle(path, digest, durable)
      if (size > blockBytes) await this.#sums.keep(hex, await stat(this.#pathOf(digest), { bigint: true }), blockSums)
      return { digest, size }
    } catch (error) {
      await rm(path, { force: true })
      throw named(error, this.#root)
    }
  }

  /** Writes a stream to a new file and digests what lies there then. */
  async #digested(path: string, chunks: AsyncIterable<Uint8Array>): Promise<FileFacts> {
    const file = await open(path, 'wx', 0o444)
    try {
      const { blockSums } = await takeIn(chunks, file)
      const facts = await this.#threads.file(path, blockBytes)
      const wrong = facts.blockSums.findIndex((sum, block) => sum !== blockSums[block])
      if (wrong >= 0) throw alteredBlock(`sha256:${facts.hex}`, wrong)
      return facts
    } finally {
      await file.close()
    }
  }

  async *#joined(ids: readonly ReceivedId[]): AsyncIterable<Uint8Array> {
    for (const id of ids) yield* chunksOf(await this.#received.open(id))
  }

  async #settle(path: string, digest: Digest, durable: Durable): Promise<void> {
    const target = this.#pathOf(digest)
    const made = await mkdir(dirname(target), { recursive: true })
    await chmod(path, 0o444)
    await rename(path, target)
    if (durable === 'soon') return
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
    const { hex } = await this.#threads.file(path, blockBytes)
    if (`sha256:${hex}` !== digest) throw corruptObject(digest, `sha256:${hex}`)
  }

  /** The file as it was when its digest was last found right, with the checksums of its blocks from then. */
  async #openVerified(digest: Digest): Promise<{ file: FileHandle; sums: readonly number[] }> {
    for (;;) {
      const file = await this.#openFile(digest)
      const sums = await file
        .stat({ bigint: true })
        .then((facts) => this.#sums.of(sumsName(digest), facts))
        .catch((error: unknown) => file.close().then(() => Promise.reject(error)))
      if (sums) return { file, sums }
      await file.close()
      await this.#verify(digest)
    }
  }

  /** Digests the whole, once for all who ask meanwhile. */
  #verify(digest: Digest): Promise<void> {
    const running = this.#verifying.get(digest)
    if (running) return running
    const verifying = this.#digestAnew(digest).finally(() => this.#verifying.delete(digest))
    this.#verifying.set(digest, verifying)
    return verifying
  }

  async #digestAnew(digest: Digest): Promise<void> {
    const path = this.#pathOf(digest)
    const before = await orUnknown(stat(path, { bigint: true }), digest)
    const { hex, blockSums } = await orUnknown(this.#threads.file(path, blockBytes), digest)
    if (`sha256:${hex}` !== digest) throw corruptObject(digest, `sha256:${hex}`)
    await this.#sums.keep(hex, before, blockSums)
  }

  /** Put just now: what collects unused objects goes by this time. */
  async #renew(path: string): Promise<void> {
    const now = new Date(await this.#nowMs())
    if (mayDoAtOnce()) utimesSync(path, now, now)
    else await utimes(path, now, now)
  }

  /** The file system's time, which may be another machine's: looked at now and then, counted on in between. */
  async #nowMs(): Promise<number> {
    if (this.#clock === undefined || performance.now() - this.#clock.at > clockTrustedMs) {
      const time = (await this.#fileSystemTime()) + tickMs
      this.#clock = { at: performance.now(), time }
    }
    return this.#clock.time + performance.now() - this.#clock.at
  }

  async #fileSystemTime(): Promise<number> {
    const path = join(this.#incoming, `${randomUUID()}.now`)
    await mkdir(this.#incoming, { recursive: true })
    await writeFile(path, '')
    return stat(path).then((facts) => rm(path).then(() => facts.mtimeMs))
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

const atOnceBytes = 65_536

/** Of what is larger than a block undefined. */
async function readSmall(path: string): Promise<Buffer | undefined> {
  const bytes = readAtOnce(path)
  if (bytes) return bytes
  const { size } = await stat(path)
  return size <= blockBytes ? readFile(path) : undefined
}

const readWhole = async (path: string): Promise<Buffer> => readAtOnce(path) ?? readFile(path)

/** Undefined of what is not small, or where many others were read just now. Whatever lies there, this never waits for it. */
function readAtOnce(path: string): Buffer | undefined {
  if (!mayDoAtOnce()) return undefined
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const facts = fstatSync(file)
    return facts.isFile() && facts.size <= atOnceBytes ? readFileSync(file) : undefined
  } finally {
    closeSync(file)
  }
}

function sound(bytes: Buffer, digest: Digest): Buffer {
  const found = digestOf(bytes)
  if (found !== digest) throw corruptObject(digest, found)
  return bytes
}

/** At once: for a small file the ways to a thread and back take several times as long as the file. */
function copySmall(bytes: Uint8Array, path: string, mode: number): void {
  writeFileSync(path, bytes, { flag: 'wx' })
  chmodSync(path, mode)
}

async function orUnknown<T>(reading: Promise<T>, digest: Digest): Promise<T> {
  try {
    return await reading
  } catch (error) {
    absentOrThrow(error)
    throw unknownObject(digest)
  }
}

async function synchroniseFile(path: string): Promise<void> {
  const file = await open(path, 'r')
  await file.sync().finally(() => file.close())
}

const sumsName = (digest: Digest): string => digest.slice('sha256:'.length)
