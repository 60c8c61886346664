import type { CommitId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'

export type TreeEntry = {
  path: string
  mode: 'file' | 'executable' | 'symlink' | 'submodule'
  blob: string
  size: number
}
export type CommitInfo = { id: CommitId; parents: CommitId[]; author: string; message: string; at: EpochMs }

/** Where objects of a push wait until it is accepted (Git's quarantine); read-only overlay for one call. */
export type Quarantine = { objectDirectory: string; alternates?: string }

/**
 * Bare Git repositories kept by the server.
 * - `create` is idempotent. Reading throws NotFound for an unknown commit, branch or path.
 * - `commitFiles` makes one commit on `branch` if its head still is `expectedHead`, else returns 'moved' and leaves everything as it was.
 *   Author, committer and time are given, so the same call twice makes the same commit id: an intent can be carried out again after a crash.
 * - Reading never runs a hook, a filter or a program named by the repository.
 */
export interface Repositories {
  create(name: string): Promise<void>
  path(name: string): string
  head(name: string, branch: string): Promise<CommitId | undefined>
  branches(name: string): Promise<{ branch: string; head: CommitId }[]>
  commit(name: string, id: string, quarantine?: Quarantine): Promise<CommitInfo>
  tree(name: string, commit: CommitId, quarantine?: Quarantine): Promise<TreeEntry[]>
  readFile(name: string, commit: CommitId, path: string, quarantine?: Quarantine): Promise<Uint8Array>
  readBlob(name: string, blob: string, quarantine?: Quarantine): Promise<Uint8Array>
  log(name: string, from: CommitId, options: { until?: CommitId; limit: number }): Promise<CommitInfo[]>
  isAncestor(name: string, ancestor: CommitId, descendant: CommitId): Promise<boolean>
  commitFiles(name: string, change: FileCommit): Promise<CommitId | 'moved'>
  deleteBranch(name: string, branch: string): Promise<void>
}

export type FileCommit = {
  branch: string
  /** The head that the branch must still have; undefined = the branch must not exist yet, and starts at `base`. */
  expectedHead: CommitId | undefined
  base: CommitId
  files: { path: string; content: string }[]
  message: string
  author: { name: string; email: string }
  at: EpochMs
}
