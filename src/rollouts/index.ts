// Rollouts: brings each environment from what serves now to what Git declares, step by step, each step decided and recorded.
// Owns rollouts with their decisions, what serves where, the ONNX forms of deployed versions, and the gateway's desired.json; sees a mismatch, shows and heals it.
// It never answers a prediction and never edits Git by itself: an aborted version is handed to promotions, which bars it and proposes the revert.
export { GatewayFile } from './gateway-file.ts'
export { ModelFolders } from './model-folders.ts'
export { Preparation, type PreparationParts } from './preparation.ts'
export { Reconciler } from './reconciler.ts'
export type { ObserveTraffic, Rollout } from './rollout.ts'
export { rolloutEndpoints } from './rollouts-routes.ts'
export { RolloutsService } from './rollouts-service.ts'
export { RolloutsStore } from './rollouts-store.ts'
export { conversionText } from './version-conversion.ts'
export { VersionConversions, type VersionConversionsParts } from './version-conversions.ts'
export { VersionConversionsStore } from './version-conversions-store.ts'
