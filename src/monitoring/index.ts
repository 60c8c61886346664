// Monitoring: windows of predictions beside what their version was trained on, answers beside their labels; alerts.
// Owns the reports of its looks and the alerts. It reads predictions, labels and profiles that it is given, and never acts on
// what it finds: retraining asks for its alerts.
export { measuredIn, metricSubject } from './decide/findings.ts'
export type { Alert, Reference, WatchedDeployment } from './monitoring.ts'
export { monitoringEndpoints } from './monitoring-routes.ts'
export { MonitoringService } from './monitoring-service.ts'
export { MonitoringStore } from './monitoring-store.ts'
