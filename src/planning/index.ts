// Commit + what is known → plan: which steps run, which are reused, which are decided later, and why.
// Owns step keys and the results kept under them, and the locks of environments. Never starts anything.
export { describePlan } from './decide/describe-plan.ts'
export { graphOf } from './decide/graph.ts'
export { paramsOf } from './decide/step-key.ts'
export type {
  Champion,
  KeyParts,
  NodeDecision,
  NodeOutcome,
  Plan,
  PlanContext,
  PlanNode,
  PlannedNode,
  StepResult,
} from './plan.ts'
export { PlanStore } from './plan-store.ts'
export { Planner, type PlanRequest } from './planner.ts'
export { SourceReader } from './source-reader.ts'
