// Labels: what turned out to be true about answered predictions, by prediction id.
// Owns the table of labels and joins them with the prediction log, which it is given. It never judges a model and never
// freezes data: monitoring and retraining ask it.
export type { LabelledRow, LoggedPrediction } from './label.ts'
export { labelEndpoints } from './labels-routes.ts'
export { LabelsService } from './labels-service.ts'
