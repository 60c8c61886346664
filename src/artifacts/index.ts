// Content-addressed bytes with names: folders as manifests, MLflow's artifacts by path, versions of datasets.
// It owns which path and which dataset version stands for which digest. It never looks into a file, and never deletes an object.
export type { DatasetVersion, TreeManifest } from './artifact.ts'
export type { ArtifactEntry, ArtifactFiles } from './artifact-files.ts'
export { ArtifactService } from './artifact-service.ts'
export { safeArtifactPath } from './decide/artifact-path.ts'
