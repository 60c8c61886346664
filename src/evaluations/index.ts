// What a team evaluates with: datasets of questions and expected answers, versioned scorers, issues found, questions for reviewers
// and the queues of traces that they look at.
// It owns these records and their links to experiments. It never calls a model, runs a scorer's code, or judges a candidate (gates/).
export * from './evaluations.ts'
export { EvaluationsService } from './evaluations-service.ts'
export { purgeExperiment } from './purge-experiment.ts'
export * from './review-queues.ts'
export { ReviewQueuesService } from './review-queues-service.ts'
