import { createHash } from 'node:crypto'
import { type Readable, Transform } from 'node:stream'
import { AppError, isAppError } from '../kernel/errors.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import { type DvcPointer, dvcRemoteFolder, readDvcListing, readDvcPointer } from './decide/dvc-pointer.ts'
import type { SourceFile } from './plan.ts'
import type { PlanStore } from './plan-store.ts'

/** Opens an object of a DVC remote; undefined where the remote does not have it. */
export type OpenDvcObject = (folder: string, md5: string) => Promise<Readable | undefined>

type Parts = { objects: ObjectStore; store: PlanStore; openDvcObject: OpenDvcObject }
type Kept = { md5: string; executable: boolean }

/** The files of one commit that DVC keeps outside of Git: brought in from the remote when they are first needed, and then known by their MD5. */
export class DvcFiles {
  readonly #parts: Parts
  readonly #config: () => Promise<string | undefined>
  readonly #kept = new Map<string, Kept>()

  private constructor(parts: Parts, config: () => Promise<string | undefined>) {
    this.#parts = parts
    this.#config = config
  }

  /** `pointers`: the texts of the commit's `.dvc` files; `isInGit` files are what they are in Git. */
  static async read(
    parts: Parts,
    commit: {
      pointers: readonly { path: string; text: string }[]
      isInGit: (path: string) => boolean
      config: () => Promise<string | undefined>
    },
  ): Promise<DvcFiles> {
    const files = new DvcFiles(parts, commit.config)
    for (const { path, text } of commit.pointers)
      for (const pointer of readDvcPointer(path, text)) if (!commit.isInGit(pointer.path)) await files.#add(pointer)
    return files
  }

  get paths(): string[] {
    return [...this.#kept.keys()]
  }

  has(path: string): boolean {
    return this.#kept.has(path)
  }

  /** @throws AppError DependencyMissing where the remote lacks it, ObjectCorrupt where its bytes are not what the pointer says. */
  async source(path: string): Promise<SourceFile> {
    const { md5, executable } = this.#kept.get(path)!
    return { ...(await this.#bring(path, md5)), executable }
  }

  async #add(pointer: DvcPointer): Promise<void> {
    if (!pointer.isFolder) {
      this.#kept.set(pointer.path, { md5: pointer.md5, executable: false })
      return
    }
    try {
      const listing = await this.#bring(pointer.path, pointer.md5)
      const text = new TextDecoder().decode(await this.#parts.objects.read(listing.digest))
      for (const { path, md5, executable } of readDvcListing(pointer.path, text))
        this.#kept.set(path, { md5, executable })
    } catch (error) {
      // A commit whose steps do not want the folder must not fail for it; one whose steps do is told when it is loaded.
      if (!isAppError(error) || error.culprit === 'ours') throw error
      this.#kept.set(pointer.path, { md5: pointer.md5, executable: false })
    }
  }

  async #bring(path: string, md5: string) {
    const { objects, store, openDvcObject } = this.#parts
    const name = `md5:${md5}`
    const known = (await store.blobs([name])).get(name)
    if (known && (await objects.has(known.digest))) return known
    const remote = dvcRemoteFolder(await this.#config())
    const content = await openDvcObject(remote, md5)
    if (!content)
      throw new AppError(
        'DependencyMissing',
        `"${path}" is kept by DVC (md5 ${md5}), but the remote ${remote} does not have it.`,
        'Run dvc push, then push again.',
      )
    const stored = await objects.put(content.pipe(verified(path, md5)))
    await store.rememberBlob(name, stored)
    return stored
  }
}

/** Passes bytes through and fails at their end where they are others than the pointer says. */
function verified(path: string, md5: string): Transform {
  const hash = createHash('md5')
  return new Transform({
    transform(chunk: Buffer, _, done) {
      hash.update(chunk)
      done(null, chunk)
    },
    flush(done) {
      const found = hash.digest('hex')
      if (found === md5.replace(/\.dir$/, '')) done()
      else
        done(
          new AppError(
            'ObjectCorrupt',
            `The DVC remote has other bytes for "${path}": md5 ${found} instead of ${md5}.`,
            'Push the file to the remote again: dvc push.',
          ),
        )
    },
  })
}
