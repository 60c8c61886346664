// Promotions: the way from a verdict to a commit of desired state, so that the loop does not chase its tail.
// Owns versions made by a verdict (with their manifests), promotions, bars, and the history of what Git declared.
// It never judges and never serves: it writes modelwright.yaml as Modelwright, where the file says so or a person agreed.
export type { Candidate, CandidateOf } from './candidate.ts'
export type { Standing } from './decide/promote.ts'
export { type ModelVersionManifest, parseManifest } from './manifest.ts'
export { promotionEndpoints } from './promotions-routes.ts'
export { type Clearance, PromotionsService } from './promotions-service.ts'
export { PromotionsStore } from './promotions-store.ts'
