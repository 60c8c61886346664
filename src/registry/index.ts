// Registered models, their versions with provenance, and aliases, as MLflow means them.
// It owns which content is which version. It never judges a version (gates/) nor deploys one (rollouts/).
export { contentDigest } from './decide/content-digest.ts'
export { signatureColumns } from './decide/signature-columns.ts'
export { importedVersions } from './import-versions.ts'
export * from './registry.ts'
export * from './registry-contract.ts'
export { registryEndpoints } from './registry-routes.ts'
export { RegistryService } from './registry-service.ts'
