// Commit + what is known → plan: which steps run, which are reused, which are decided later, and why.
// Owns step keys and the results kept under them, and the locks of environments. Never starts anything.
export { AddressReader, type DataSecret } from './address-reader.ts'
export { describeExplanation, fileOrigin } from './decide/describe-explanation.ts'
export { describePlan } from './decide/describe-plan.ts'
export { type LockedPackage, lockedPackages, packageVersions } from './decide/locked-packages.ts'
export { paramsOf } from './decide/step-key.ts'
export type { OpenDvcObject } from './dvc-files.ts'
export { EnvironmentLocks } from './environment-locks.ts'
export {
  type Champion,
  type DataInput,
  type Explanation,
  type KeyParts,
  type NodeDecision,
  type NodeOutcome,
  notIsolated,
  type Plan,
  type PlanContext,
  type PlanNode,
  type StepResult,
} from './plan.ts'
export { PlanStore } from './plan-store.ts'
export { type Compared, nodesOf, Planner, type PlanRequest } from './planner.ts'
export { SourceReader } from './source-reader.ts'
