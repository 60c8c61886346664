import type { ArtifactService } from '../artifacts/index.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { DataInput } from '../planning/index.ts'

type DatasetVersion = Parameters<ArtifactService['recordDatasetVersion']>[1]

/** What an execution takes of a dataset, as it is recorded. */
export const datasetVersionOf = (
  project: string,
  { dataset, digest, path, address, of }: DataInput,
  createdAt: EpochMs,
): DatasetVersion => ({
  project,
  dataset,
  digest,
  rows: undefined,
  origin: of
    ? { kind: 'part', of: of.digest, share: of.share }
    : address === undefined
      ? { kind: 'git', path }
      : { kind: 'address', address },
  createdAt,
})
