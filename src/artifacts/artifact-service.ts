import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { finished } from 'node:stream/promises'
import type { Db, Tx } from '../db/index.ts'
import { canonicalJson, type Digest } from '../kernel/digest.ts'
import { AppError, isAppError } from '../kernel/errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { ObjectStore, PutOptions, StoredObject } from '../ports/object-store.ts'
import type { DatasetVersion, TreeManifest } from './artifact.ts'
import { ArtifactFiles } from './artifact-files.ts'
import * as datasets from './dataset-versions.ts'
import { onlyUnder, treeOf } from './decide/tree.ts'
import { type FolderOptions, filesBelow, orRefused } from './folder.ts'
import { Settler } from './settler.ts'
import { Uploads } from './uploads.ts'

/** Folders and files as content; artifacts by path; versions of datasets. */
export class ArtifactService {
  readonly files: ArtifactFiles
  readonly uploads: Uploads
  readonly settler: Settler
  readonly #db: Db
  readonly #objects: ObjectStore

  constructor(parts: { db: Db; clock: Clock; objects: ObjectStore }) {
    this.#db = parts.db
    this.#objects = parts.objects
    this.settler = new Settler(parts)
    this.uploads = new Uploads({ ...parts, settler: this.settler })
    this.files = new ArtifactFiles({ ...parts, uploads: this.uploads, settler: this.settler })
  }

  /** Takes a folder in. The digest names its content alone: paths, bytes and the executable bit, no times. */
  async storeFolder(
    dir: string,
    options: FolderOptions & PutOptions = {},
  ): Promise<{ digest: Digest; manifest: TreeManifest }> {
    const found = await filesBelow(dir, options)
    const manifest = treeOf(
      await eightAtATime(found, async ({ path, absolute, executable }) => {
        const { digest, size } = await orRefused(this.#objects.putFile(absolute, options), path)
        return { path, digest, size, executable }
      }),
    )
    return { digest: await this.storeTree(manifest, options), manifest }
  }

  storeFile(path: string): Promise<StoredObject> {
    return this.#objects.putFile(path)
  }

  /**
   * Forgets what of a folder was altered where it lies, so that nobody counts on it any more; gives its paths. For what can be made
   * again: the bytes are gone.
   */
  async forgetAltered(digest: Digest): Promise<string[]> {
    const tree = await this.#forgottenIfAltered(digest, this.tree(digest))
    if (tree === undefined) return ['']
    const altered: string[] = []
    for (const file of tree.files) {
      const read = this.#objects.open(file.digest).then((bytes) => finished(bytes.resume()).then(() => true))
      if (!(await this.#forgottenIfAltered(file.digest, read))) altered.push(file.path)
    }
    return altered
  }

  async #forgottenIfAltered<T>(digest: Digest, reading: Promise<T>): Promise<T | undefined> {
    try {
      return await reading
    } catch (error) {
      if (!isAppError(error, 'ObjectCorrupt') && !isAppError(error, 'NotFound')) throw error
      await this.#objects.remove(digest)
      return undefined
    }
  }

  /** Keeps the manifest itself; its files must be in the store already. */
  async storeTree(manifest: TreeManifest, options: PutOptions = {}): Promise<Digest> {
    const { digest } = await this.#objects.put(canonicalJson(treeOf(manifest.files)), undefined, options)
    return digest
  }

  async tree(digest: Digest): Promise<TreeManifest> {
    const text = new TextDecoder().decode(await this.#objects.read(digest))
    try {
      return treeOf((JSON.parse(text) as TreeManifest).files)
    } catch (cause) {
      throw new AppError('BadRequest', `${digest} is no folder's manifest.`, 'Name the digest of a folder.', { cause })
    }
  }

  /** Writes a tree (or the files and folders of it that `only` names) below `dir`, which is made where it is missing. */
  async materialiseTree(
    digest: Digest,
    dir: string,
    options: { only?: readonly string[] } = {},
  ): Promise<TreeManifest> {
    const whole = await this.tree(digest)
    const tree = options.only ? onlyUnder(whole, options.only) : whole
    for (const folder of new Set(['', ...tree.files.map((file) => dirname(file.path))]))
      mkdirSync(join(dir, folder), { recursive: true })
    await eightAtATime(tree.files, (file) =>
      this.#objects.materialise(file.digest, join(dir, file.path), file.executable ? 0o755 : 0o644),
    )
    return tree
  }

  recordDatasetVersion(tx: Tx, version: DatasetVersion): Promise<void> {
    return datasets.record(tx, version)
  }

  latestDatasetVersion(project: string, dataset: string): Promise<DatasetVersion | undefined> {
    return datasets.latest(this.#db, project, dataset)
  }

  /** Newest first, at most 1,000. */
  datasetVersions(project: string): Promise<DatasetVersion[]> {
    return datasets.ofProject(this.#db, project)
  }
}

/** Enough to hide the disk's waiting, few enough not to hold many files open. */
async function eightAtATime<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length)
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++
      results[index] = await work(items[index]!)
    }
  }
  await Promise.all(Array.from({ length: Math.min(8, items.length) }, worker))
  return results
}
