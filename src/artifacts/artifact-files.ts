import type { Readable } from 'node:stream'
import { type Db, transact } from '../db/index.ts'
import type { Digest } from '../kernel/digest.ts'
import { AppError } from '../kernel/errors.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import type { TreeManifest } from './artifact.ts'
import { safeArtifactPath } from './decide/artifact-path.ts'
import { foldersOf, subtree, treeOf } from './decide/tree.ts'

export type ArtifactFile = { path: string; digest: Digest; size: number; createdAt: EpochMs }
export type ArtifactEntry = { name: string; kind: 'folder' } | { name: string; kind: 'file'; size: number }

/** `/` + 1: every path below a folder sorts between `folder/` and `folder0`. */
const afterSlash = '0'
const pageSize = 500

/** Artifacts by path, as MLflow's artifact proxy sees them. A path is checked here, so no caller can forget to. */
export class ArtifactFiles {
  readonly #db: Db
  readonly #clock: Clock
  readonly #objects: ObjectStore

  constructor(parts: { db: Db; clock: Clock; objects: ObjectStore }) {
    this.#db = parts.db
    this.#clock = parts.clock
    this.#objects = parts.objects
  }

  /** Takes the bytes in first and names them then: an upload that breaks off leaves nothing to see. The same path again replaces. */
  async put(path: string, content: Readable | Uint8Array | string): Promise<ArtifactFile> {
    const name = filePath(path)
    await this.#refuseFileAsFolder(name)
    const { digest, size } = await this.#objects.put(content)
    const file = { path: name, digest, size, createdAt: this.#clock.now() }
    await transact(this.#db, async (tx) => {
      const row = { digest, size, created_at: file.createdAt }
      await tx
        .insertInto('artifact_files')
        .values({ path: name, ...row })
        .onConflict((c) => c.column('path').doUpdateSet(row))
        .execute()
    })
    return file
  }

  async find(path: string): Promise<ArtifactFile | undefined> {
    const row = await this.#db
      .selectFrom('artifact_files')
      .selectAll()
      .where('path', '=', filePath(path))
      .executeTakeFirst()
    return row && { path: row.path, digest: row.digest as Digest, size: row.size, createdAt: row.created_at }
  }

  /** `end` is inclusive. Throws NotFound where there is no such file. */
  async open(
    path: string,
    range?: { start: number; end?: number },
  ): Promise<{ file: ArtifactFile; content: Readable }> {
    const file = await this.find(path)
    if (!file) throw new AppError('NotFound', `No such artifact: '${path}'`, 'List the folder to see what there is.')
    return { file, content: await this.#objects.open(file.digest, range) }
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

  /** The folder's content, named from there on; a manifest without files where there is nothing. */
  async treeUnder(folder: string): Promise<TreeManifest> {
    const name = folderPath(folder)
    const rows = await this.#rows(below(name), below(name))
    const whole = treeOf(rows.map((row) => ({ path: row.path, digest: row.digest as Digest, size: row.size })))
    return subtree(whole, name)
  }

  #rows(prefix: string, from: string, limit?: number) {
    let query = this.#db.selectFrom('artifact_files').selectAll().where('path', '>=', from).orderBy('path')
    if (prefix !== '') query = query.where('path', '<', prefix.slice(0, -1) + afterSlash)
    return (limit === undefined ? query : query.limit(limit)).execute()
  }

  async #refuseFileAsFolder(name: string): Promise<void> {
    const folders = foldersOf(name)
    const clash = await this.#db
      .selectFrom('artifact_files')
      .select('path')
      .where((e) =>
        e.or([
          ...(folders.length > 0 ? [e('path', 'in', folders)] : []),
          e.and([e('path', '>=', `${name}/`), e('path', '<', name + afterSlash)]),
        ]),
      )
      .limit(1)
      .executeTakeFirst()
    if (clash)
      throw new AppError(
        'Conflict',
        `"${name}" and "${clash.path}" cannot both be kept.`,
        'Choose another artifact path.',
      )
  }
}

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
