import type { Generated } from 'kysely'

export interface ArtifactTables {
  /**
   * Artifacts as MLflow names them: a path → content. Several paths may share a digest. As long as the bytes are not digested
   * yet, `upload_id` names the upload whose parts they are, and `digest` is empty.
   */
  artifact_files: { path: string; digest: string; size: number; created_at: number; upload_id: string | null }
  /** `state`: open (parts come in), complete (an artifact, to be digested), settled (digested; kept a while for who asks again). */
  uploads: {
    upload_id: string
    path: string
    created_at: number
    touched_at: number
    part_count: number
    state: string
    /** Of a settled one: whoever still reads its parts goes on there. */
    digest: string | null
  }
  /** `received_id` is the object store's name of the part's bytes. */
  upload_parts: { upload_id: string; part_number: number; received_id: string; size: number; checksum: string }
  /** Objects that nothing was found to refer to, since when. */
  unreferenced_objects: { digest: string; since: number }
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
