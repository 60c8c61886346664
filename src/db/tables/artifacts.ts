import type { Generated } from 'kysely'

export interface ArtifactTables {
  /** Artifacts as MLflow names them: a path → content. Several paths may share a digest. */
  artifact_files: { path: string; digest: string; size: number; created_at: number }
  /** `seq` orders versions of one dataset by when they were first seen; `origin` is JSON. */
  dataset_versions: {
    seq: Generated<number>
    project: string
    dataset: string
    digest: string
    rows: number | null
    origin: string
    created_at: number
  }
}
