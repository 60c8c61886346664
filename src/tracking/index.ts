// Experiments, runs, params, tags, metrics and logged models, as MLflow means them.
// It owns what was logged and the search over it. It never holds an artifact's bytes (artifacts/) nor a model version (registry/).
export * from './decide/limits.ts'
export { type Clause, type Grammar, parseFilter, parseOrderTerm } from './decide/search-filter.ts'
export { nextPage } from './experiment-store.ts'
export { afterSql, compareSql, orderSql, readPageToken, type SortColumn } from './search-sql.ts'
export * from './tracking.ts'
export * from './tracking-contract.ts'
export { trackingEndpoints } from './tracking-routes.ts'
export { artifactFolderOf, TrackingService } from './tracking-service.ts'
