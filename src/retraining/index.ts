// Retraining: an open alert, a schedule or a person → "plan again, because …", with the rows that were labelled since.
// Owns its decisions, the retrainings with their one execution per cause, and since when schedules count. It never judges drift
// and never trains: monitoring says what moved, executions carry out.
export { LabelledRowsFreezer } from './labelled-rows-freezer.ts'
export { retrainingEndpoints } from './retraining-routes.ts'
export { RetrainingService } from './retraining-service.ts'
export { RetrainingStore } from './retraining-store.ts'
