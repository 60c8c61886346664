import type { TreeManifest } from '../artifacts/index.ts'
import type { Digest } from '../kernel/digest.ts'
import type { LockedPackage } from '../planning/index.ts'

/** What is recorded of how a model version was made: what bills of materials and signed statements are written from. */
export type VersionRecord = {
  project: string
  model: string
  version: number
  /** Of the manifest. */
  digest: Digest
  commit: string
  execution: string
  run: string
  modelTree: Digest
  files: TreeManifest['files']
  data: { name: string; digest: Digest; path?: string }[]
  environmentLock: Digest | 'none'
  python?: string
  packages: LockedPackage[]
  params: Record<string, Record<string, string | number | boolean | null>>
  seed: number
  verdict: { outcome: string; digest: Digest }
  /** Epoch ms: when the execution began and the version was made. */
  startedAt: number
  createdAt: number
}

export const hexOf = (digest: Digest): string => digest.slice('sha256:'.length)

/** The interpreter and the registry that Python packages come from, as package URLs (purl). */
export const packageUrl = ({ name, version, conda }: Pick<LockedPackage, 'name' | 'version' | 'conda'>): string => {
  if (conda !== undefined) return `pkg:conda/${name}@${encodeURIComponent(version)}`
  return /^[a-z][a-z+]*:\/\//.test(version)
    ? `pkg:generic/${name}?download_url=${encodeURIComponent(version)}`
    : `pkg:pypi/${name}@${encodeURIComponent(version)}`
}
