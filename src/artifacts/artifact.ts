import type { Digest } from '../kernel/digest.ts'
import type { EpochMs } from '../kernel/time.ts'

/** One file of a tree; `path` is relative, with forward slashes, and never leaves the tree. */
export type TreeFile = { path: string; digest: Digest; size: number; executable?: boolean }

/** A folder's content, sorted by path. Kept as an object of canonical JSON; the digest of that names the tree. */
export type TreeManifest = { files: TreeFile[] }

/** An immutable content of a named dataset. `tree` names a file (one entry) or a folder. */
export type DatasetVersion = {
  project: string
  dataset: string
  digest: Digest
  rows: number | undefined
  /** Where it came from: a commit's file, or labelled rows of production joined to one. */
  origin:
    | { kind: 'git'; path: string }
    | { kind: 'labelled predictions'; base: Digest; environment: string; addedRows: number; untilMs: EpochMs }
  createdAt: EpochMs
}
