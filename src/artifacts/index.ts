// Content-addressed bytes with names: folders as manifests, MLflow's artifacts by path, versions of datasets.
// It owns which path and which dataset version stands for which digest. It never looks into a file. Objects that nothing refers to are freed here, from roots that compose/ names.
export type { DatasetVersion, TreeManifest } from './artifact.ts'
export type { ArtifactEntry, ArtifactFiles } from './artifact-files.ts'
export { ArtifactService } from './artifact-service.ts'
export { safeArtifactPath } from './decide/artifact-path.ts'
export { collectGarbage, retentionState } from './retention-contract.ts'
export { type Swept, sweepObjects } from './sweep.ts'
