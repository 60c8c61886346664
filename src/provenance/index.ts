// Provenance: bills of materials and signed statements of what a model version is and where it comes from.
// Owns the server's signing key and what was signed with it. It states what is recorded and judges nothing.
export { provenanceEndpoints } from './provenance-routes.ts'
export { ProvenanceService } from './provenance-service.ts'
export { ProvenanceStore } from './provenance-store.ts'
