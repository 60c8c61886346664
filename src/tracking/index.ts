// Experiments, runs, params, tags, metrics and logged models, as MLflow means them.
// It owns what was logged and the search over it. It never holds an artifact's bytes (artifacts/) nor a model version (registry/).
export * from './dataset-search.ts'
export * from './decide/limits.ts'
export { type Clause, type Grammar, parseFilter } from './decide/search-filter.ts'
export { experimentNumber, nextPage } from './experiment-store.ts'
export { type ImportedRun, importedRuns } from './import-runs.ts'
export {
  doom,
  doomedLeft,
  type Elsewhere,
  type Held,
  type Purgeable,
  type PurgeChoice,
  purgeable,
  purgeStep,
} from './purge.ts'
export { afterSql, compareSql, likeSql, orderSql, readPageToken, type SortColumn, visibleSql } from './search-sql.ts'
export * from './tracking.ts'
export * from './tracking-contract.ts'
export { trackingEndpoints } from './tracking-routes.ts'
export { artifactFolderOf, TrackingService } from './tracking-service.ts'
