import { Readable } from 'node:stream'
import { type Db, transact } from '../db/index.ts'
import type { Digest } from '../kernel/digest.ts'
import { AppError, isAppError } from '../kernel/errors.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { ByteRange, ObjectStore } from '../ports/object-store.ts'
import type { TreeManifest } from './artifact.ts'
import { afterSlash, nameArtifact, refuseClash } from './artifact-names.ts'
import { safeArtifactPath } from './decide/artifact-path.ts'
import { subtree, treeOf } from './decide/tree.ts'
import type { Settler } from './settler.ts'
import { openUpload } from './upload-parts.ts'
import type { Uploads } from './uploads.ts'

export type ArtifactFile = { path: string; size: number; createdAt: EpochMs }
export type ArtifactEntry = { name: string; kind: 'folder' } | { name: string; kind: 'file'; size: number }

type Row = { path: string; digest: string; size: number; created_at: number; upload_id: string | null }

const pageSize = 500
/** What is digested sooner than its acknowledgement travels. */
const digestedAtOnceBytes = 1024 * 1024

/** Artifacts by path, as MLflow's artifact proxy sees them. A path is checked here, so no caller can forget to. */
export class ArtifactFiles {
  readonly #db: Db
  readonly #clock: Clock
  readonly #objects: ObjectStore
  readonly #uploads: Uploads
  readonly #settler: Settler

  constructor(parts: { db: Db; clock: Clock; objects: ObjectStore; uploads: Uploads; settler: Settler }) {
    this.#db = parts.db
    this.#clock = parts.clock
    this.#objects = parts.objects
    this.#uploads = parts.uploads
    this.#settler = parts.settler
  }

  /**
   * Takes the bytes in first and names them then: an upload that breaks off leaves nothing to see. The same path again replaces.
   * `size`, where the sender announced it, tells small streams from large ones, whose digest is computed after they are safe.
   */
  async put(
    path: string,
    content: Readable | Uint8Array | string,
    announced: { size?: number | undefined } = {},
  ): Promise<ArtifactFile> {
    const name = filePath(path)
    await refuseClash(this.#db, name)
    if (content instanceof Readable && (announced.size ?? Number.POSITIVE_INFINITY) > digestedAtOnceBytes)
      return { path: name, ...(await this.#uploads.putWhole(name, content)) }
    const { digest, size } = await this.#objects.put(content)
    const createdAt = this.#clock.now()
    await transact(this.#db, async (tx) => {
      await refuseClash(tx, name)
      await nameArtifact(tx, { path: name, digest, size, created_at: createdAt, upload_id: null })
    })
    return { path: name, size, createdAt }
  }

  /** Begins an upload in parts; see Uploads for the rest of its life. */
  beginUpload(path: string, partCount: number): Promise<string> {
    return this.#uploads.begin(filePath(path), partCount)
  }

  async find(path: string): Promise<ArtifactFile | undefined> {
    const row = await this.#row(path)
    return row && fileFrom(row)
  }

  /** `end` is inclusive. Throws NotFound where there is no such file. */
  async open(path: string, range?: ByteRange): Promise<{ file: ArtifactFile; content: Readable }> {
    for (;;) {
      const row = await this.#row(path)
      if (!row) throw new AppError('NotFound', `No such artifact: '${path}'`, 'List the folder to see what there is.')
      try {
        return { file: fileFrom(row), content: await this.#content(row, range) }
      } catch (error) {
        // Digested (or replaced) between the look into the table and the opening: its bytes have moved.
        const moved = isAppError(error, 'NotFound') && (await this.#row(path))?.upload_id !== row.upload_id
        if (!moved) throw error
      }
    }
  }

  /** What lies directly in a folder, by name. A folder is there as long as a file is below it. */
  async list(folder: string): Promise<ArtifactEntry[]> {
    const prefix = below(folderPath(folder))
    const entries: ArtifactEntry[] = []
    let from = prefix
    for (;;) {
      const rows = await this.#rows(prefix, from, pageSize)
      for (const { path, size } of rows) {
        if (path < from) continue
        const rest = path.slice(prefix.length)
        const slash = rest.indexOf('/')
        if (slash === -1) entries.push({ name: rest, kind: 'file', size })
        else entries.push({ name: rest.slice(0, slash), kind: 'folder' })
        // Everything else in a folder is passed over, however much it holds.
        from = slash === -1 ? `${path}\0` : prefix + rest.slice(0, slash) + afterSlash
      }
      if (rows.length < pageSize) return entries
    }
  }

  async isFolder(path: string): Promise<boolean> {
    const name = folderPath(path)
    return (await this.#rows(below(name), below(name), 1)).length > 0
  }

  /** A file, or everything below a folder. How many files went. */
  async remove(path: string): Promise<number> {
    const name = filePath(path)
    const { numDeletedRows } = await this.#db
      .deleteFrom('artifact_files')
      .where((e) =>
        e.or([e('path', '=', name), e.and([e('path', '>=', `${name}/`), e('path', '<', name + afterSlash)])]),
      )
      .executeTakeFirst()
    return Number(numDeletedRows)
  }

  /** At most `limit` files of what lies below a folder; how many went. */
  async removeSome(folder: string, limit: number): Promise<number> {
    const name = filePath(folder)
    const rows = await this.#rows(below(name), below(name), limit)
    if (rows.length === 0) return 0
    const { numDeletedRows } = await this.#db
      .deleteFrom('artifact_files')
      .where('path', '>=', rows[0]!.path)
      .where('path', '<=', rows.at(-1)!.path)
      .executeTakeFirst()
    return Number(numDeletedRows)
  }

  /** The folder's content, named from there on; a manifest without files where there is nothing. */
  async treeUnder(folder: string): Promise<TreeManifest> {
    const name = folderPath(folder)
    for (;;) {
      const rows = await this.#rows(below(name), below(name))
      const undigested = rows.flatMap((row) => row.upload_id ?? [])
      for (const uploadId of undigested) await this.#settler.settle(uploadId)
      if (undigested.length > 0) continue
      const whole = treeOf(rows.map((row) => ({ path: row.path, digest: row.digest as Digest, size: row.size })))
      return subtree(whole, name)
    }
  }

  async #content(row: Row, range: ByteRange | undefined): Promise<Readable> {
    if (row.upload_id === null) return this.#objects.open(row.digest as Digest, range)
    return openUpload({ db: this.#db, objects: this.#objects }, row.upload_id, range)
  }

  #row(path: string): Promise<Row | undefined> {
    return this.#db.selectFrom('artifact_files').selectAll().where('path', '=', filePath(path)).executeTakeFirst()
  }

  #rows(prefix: string, from: string, limit?: number) {
    let query = this.#db.selectFrom('artifact_files').selectAll().where('path', '>=', from).orderBy('path')
    if (prefix !== '') query = query.where('path', '<', prefix.slice(0, -1) + afterSlash)
    return (limit === undefined ? query : query.limit(limit)).execute()
  }
}

const fileFrom = (row: Row): ArtifactFile => ({ path: row.path, size: row.size, createdAt: row.created_at })

const below = (folder: string): string => (folder === '' ? '' : `${folder}/`)

function folderPath(text: string): string {
  const path = safeArtifactPath(text)
  if (path === undefined) throw new AppError('BadRequest', 'Invalid path', 'Use a relative path without `..`.')
  return path
}

function filePath(text: string): string {
  const path = folderPath(text)
  if (path === '') throw new AppError('BadRequest', 'Invalid path', 'Name a file.')
  return path
}
