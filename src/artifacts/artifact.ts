import type { Digest } from '../kernel/digest.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Share } from '../kernel/units.ts'

/** One file of a tree; `path` is relative, with forward slashes, and never leaves the tree. */
export type TreeFile = { path: string; digest: Digest; size: number; executable?: boolean }

/** A folder's content, sorted by path. Kept as an object of canonical JSON; the digest of that names the tree. */
export type TreeManifest = { files: TreeFile[] }

/** An immutable content of a named dataset: one file, kept as the object `digest`. */
export type DatasetVersion = {
  project: string
  dataset: string
  digest: Digest
  rows: number | undefined
  origin: DatasetOrigin
  createdAt: EpochMs
}

/** Where it came from: a commit's file; what lay at an address; a part of the rows of another; rows that production saw and that were labelled; or the first with the second added. */
export type DatasetOrigin =
  | { kind: 'git'; path: string }
  | { kind: 'address'; address: string }
  | { kind: 'part'; of: Digest; share: Share }
  | { kind: 'labelled predictions'; environment: string; until: EpochMs }
  | { kind: 'joined'; base: Digest; added: Digest }
