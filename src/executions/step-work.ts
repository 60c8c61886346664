import type { AccessService, SecretBox, StepSecrets } from '../access/index.ts'
import type { ArtifactService } from '../artifacts/index.ts'
import type { Db } from '../db/index.ts'
import type { Digest } from '../kernel/digest.ts'
import type { NodeDecision, PlanContext, Planner, PlanStore } from '../planning/index.ts'
import type { Clock } from '../ports/clock.ts'
import type { Environments } from '../ports/environments.ts'
import type { Executor } from '../ports/executor.ts'
import type { Log } from '../ports/log.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import type { Repositories } from '../ports/repository.ts'
import type { TrackingService } from '../tracking/index.ts'
import type { Execution, ExecutionNode } from './execution.ts'
import type { ExecutionsStore } from './executions-store.ts'
import type { WatchParts } from './step-watch.ts'

export type StepRunnerParts = {
  db: Db
  clock: Clock
  store: ExecutionsStore
  planner: Planner
  planStore: PlanStore
  objects: ObjectStore
  artifacts: ArtifactService
  executor: Executor
  environments: Environments
  tracking: TrackingService
  access: AccessService
  /** Throws DataChecksFailed with the offending rows. */
  checkData: (request: DataCheckRequest) => Promise<void>
  repositories: Pick<Repositories, 'tree' | 'readBlob'>
  secrets: StepSecrets
  box: SecretBox
  log: Log
  workDir: string
  cachesDir: string
  /** The bound of a step's log. */
  logBytes: number
  /** What an hour of this machine costs. */
  price?: { perHour: number; currency: string }
  gpuCount: number
  trackingUri: () => string
  bootstrapPath: string
  /** What `score:` runs: this program's root and what starts it. */
  program: { node: string; main: string; root: string }
  systemPath: string
  /** What steps do not see of this machine. */
  hidden: readonly string[]
  dataDir: string
  machine: WatchParts['machine'] & Pick<WatchParts, 'gpus'> & { name: string; environment: Record<string, string> }
  variable: (name: string) => string | undefined
}

export type DataCheckRequest = { context: PlanContext; dataset: string; path: string; digest: Digest }

export type RunsDecision = Extract<NodeDecision, { outcome: 'runs' }>

/** What is needed to carry one node on, from whatever state it is in. */
export type Work = {
  execution: Execution
  context: PlanContext
  node: ExecutionNode
  cancelled: AbortSignal
  shutdown: AbortSignal
}
