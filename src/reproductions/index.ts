// Reproductions: makes a model version again from its record alone, compares step by step, and says what differed first.
// Owns the verdicts on reproducibility and what is run to find a cause. It carries nothing out itself (executions do), never
// changes a version, and what it makes again becomes none.
export { ModelAsker } from './model-asker.ts'
export { reproductionEndpoints } from './reproductions-routes.ts'
export { ReproductionsService } from './reproductions-service.ts'
export { ReproductionsStore } from './reproductions-store.ts'
