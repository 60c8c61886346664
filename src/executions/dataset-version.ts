import type { ArtifactService } from '../artifacts/index.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { DataInput } from '../planning/index.ts'

type DatasetVersion = Parameters<ArtifactService['recordDatasetVersion']>[1]

/** What an execution takes of a dataset, as it is recorded. */
export const datasetVersionOf = (
  project: string,
  { dataset, digest, path, address }: DataInput,
  createdAt: EpochMs,
): DatasetVersion => ({
  project,
  dataset,
  digest,
  rows: undefined,
  origin: address === undefined ? { kind: 'git', path } : { kind: 'address', address },
  createdAt,
})
