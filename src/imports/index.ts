// Imports: another MLflow's records, taken in with their own ids and times, and compared at the end.
// Owns what came of what. It never reads a source: what is read lies on the user's machine, so the readers stand with the CLI.
// It only adds: what is here, from elsewhere or changed since, is never overwritten.
export { importEndpoints } from './imports-routes.ts'
export { ImportsService } from './imports-service.ts'
