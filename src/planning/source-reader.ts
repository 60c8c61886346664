import { parse } from 'csv-parse/sync'
import { stringify } from 'csv-stringify/sync'
import type { ArtifactService } from '../artifacts/index.ts'
import { type Db, transact } from '../db/index.ts'
import type { Digest } from '../kernel/digest.ts'
import { AppError } from '../kernel/errors.ts'
import type { CommitId } from '../kernel/ids.ts'
import type { Clock } from '../ports/clock.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import type { Quarantine, Repositories, TreeEntry } from '../ports/repository.ts'
import type { DataSource } from '../projects/index.ts'
import { joinLabelledRows } from './decide/join-labelled-rows.ts'
import { PathIndex } from './decide/path-index.ts'
import { DvcFiles, type OpenDvcObject } from './dvc-files.ts'
import type { SourceFile } from './plan.ts'
import type { PlanStore } from './plan-store.ts'

/** The files of one commit, those that DVC keeps for it among them; contents are brought into the object store when they are first needed. */
export type CommitFiles = {
  paths: PathIndex
  /** Makes `source` answer for these paths. */
  load(paths: readonly string[]): Promise<void>
  source(path: string): SourceFile | undefined
  read(path: string): Promise<Uint8Array | undefined>
}

type Parts = {
  db: Db
  repositories: Repositories
  objects: ObjectStore
  artifacts: ArtifactService
  store: PlanStore
  clock: Clock
  openDvcObject: OpenDvcObject
}

const commitsKept = 16
const largestPointerBytes = 100_000

/** Reads commits and datasets for the planner. */
export class SourceReader {
  readonly #parts: Parts
  readonly #commits = new Map<string, CommitFiles>()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  async filesOf(project: string, commit: CommitId, quarantine?: Quarantine): Promise<CommitFiles> {
    const known = this.#commits.get(`${project} ${commit}`)
    if (known) return known
    const files = await this.#read(project, commit, quarantine)
    // A quarantined commit may yet be refused, and its objects then are gone: it is not kept.
    if (!quarantine) this.#keep(`${project} ${commit}`, files)
    return files
  }

  /** The dataset with the labelled rows of production that were last frozen for it; without any, as it is in Git. */
  async withLabelledRows(request: {
    project: string
    dataset: string
    source: DataSource
    base: SourceFile
  }): Promise<{ digest: Digest; size: number }> {
    const { artifacts, objects } = this.#parts
    const { project, dataset, source, base } = request
    const versions = (await artifacts.datasetVersions(project)).filter((version) => version.dataset === dataset)
    const added = versions.find((version) => version.origin.kind === 'labelled predictions')
    if (!added) return base
    const joined = versions.find(
      (v) => v.origin.kind === 'joined' && v.origin.base === base.digest && v.origin.added === added.digest,
    )
    if (joined && (await objects.has(joined.digest)))
      return { digest: joined.digest, size: await objects.size(joined.digest) }
    const table = joinLabelledRows(
      readCsv(await objects.read(base.digest)),
      readCsv(await objects.read(added.digest)),
      source.key,
    )
    const stored = await objects.put(stringify(table))
    const origin = { kind: 'joined', base: base.digest, added: added.digest } as const
    const version = {
      project,
      dataset,
      digest: stored.digest,
      rows: table.length - 1,
      origin,
      createdAt: this.#parts.clock.now(),
    }
    await transact(this.#parts.db, (tx) => artifacts.recordDatasetVersion(tx, version))
    return stored
  }

  async #read(project: string, commit: CommitId, quarantine?: Quarantine): Promise<CommitFiles> {
    const { repositories, objects, store } = this.#parts
    const entries = new Map((await repositories.tree(project, commit, quarantine)).map((entry) => [entry.path, entry]))
    const sources = new Map<string, SourceFile>()
    const readEntry = (entry: TreeEntry) => repositories.readBlob(project, entry.blob, quarantine)
    const read = async (path: string) => {
      const entry = entries.get(path)
      return entry && readEntry(regularFile(entry))
    }
    const dvc = await this.#dvcFiles(entries, read)
    return {
      paths: new PathIndex([...entries.keys(), ...dvc.paths].sort()),
      source: (path) => sources.get(path),
      load: async (paths) => {
        const missing = paths.filter((path) => !sources.has(path) && entries.has(path))
        const known = await store.blobs(missing.map((path) => entries.get(path)!.blob))
        for (const path of missing) {
          const entry = regularFile(entries.get(path)!)
          const remembered = known.get(entry.blob)
          const content =
            remembered && (await objects.has(remembered.digest))
              ? remembered
              : await objects.put(await readEntry(entry))
          if (content !== remembered) await store.rememberBlob(entry.blob, content)
          sources.set(path, { digest: content.digest, size: content.size, executable: entry.mode === 'executable' })
        }
        for (const path of paths) if (!sources.has(path) && dvc.has(path)) sources.set(path, await dvc.source(path))
      },
      read: async (path) => (dvc.has(path) ? objects.read((await dvc.source(path)).digest) : read(path)),
    }
  }

  async #dvcFiles(
    entries: ReadonlyMap<string, TreeEntry>,
    read: (path: string) => Promise<Uint8Array | undefined>,
  ): Promise<DvcFiles> {
    const text = async (path: string) => {
      const bytes = await read(path)
      return bytes && new TextDecoder().decode(bytes)
    }
    const pointers: { path: string; text: string }[] = []
    for (const { path, mode, size } of entries.values())
      if (path.endsWith('.dvc') && mode === 'file' && size <= largestPointerBytes)
        pointers.push({ path, text: (await text(path)) ?? '' })
    return DvcFiles.read(this.#parts, {
      pointers,
      isInGit: (path) => entries.has(path),
      config: () => text('.dvc/config'),
    })
  }

  #keep(key: string, files: CommitFiles): void {
    if (this.#commits.size >= commitsKept) this.#commits.delete(this.#commits.keys().next().value!)
    this.#commits.set(key, files)
  }
}

/** Links and submodules cannot be declared: what they lead to would not be part of the key. */
function regularFile(entry: TreeEntry): TreeEntry {
  if (entry.mode === 'file' || entry.mode === 'executable') return entry
  throw new AppError(
    'NotYetSupported',
    `"${entry.path}" is a ${entry.mode === 'symlink' ? 'symbolic link' : 'submodule'}; steps cannot depend on one yet.`,
    'Depend on the file that it leads to; instead of a folder that holds a link, name the files that the step needs.',
  )
}

const readCsv = (bytes: Uint8Array): string[][] => parse(Buffer.from(bytes), { relax_column_count: true, bom: true })
