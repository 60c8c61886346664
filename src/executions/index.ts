// Carries a plan out: queue, leases, workspaces, adoption after a crash, logs, cancel. Each step is an MLflow run.
// Owns the tables executions and execution_nodes and the folder work/. Never judges a model and never deploys one.

export { givesSecrets } from './decide/gives-secrets.ts'
export {
  type Execution,
  type ExecutionNode,
  type ExecutionState,
  endedWell,
  factsOf,
  isExecutionOver,
  type Trigger,
} from './execution.ts'
export { ExecutionEngine } from './execution-engine.ts'
export { executionEndpoints } from './executions-routes.ts'
export { ExecutionsService, type StartRequest } from './executions-service.ts'
export { ExecutionsStore } from './executions-store.ts'
export { explainEndpoints } from './explain-routes.ts'
export { FanOut } from './fan-out.ts'
export { gpusOfThisMachine } from './gpu-devices.ts'
export { StepRunner } from './step-runner.ts'
export type { DataCheckRequest } from './step-work.ts'
