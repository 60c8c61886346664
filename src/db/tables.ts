import type { ArtifactTables } from './tables/artifacts.ts'
import type { ExecutionTables } from './tables/executions.ts'
import type { FoundationTables } from './tables/foundation.ts'
import type { GateTables } from './tables/gates.ts'
import type { LabelTables } from './tables/labels.ts'
import type { MonitoringTables } from './tables/monitoring.ts'
import type { PlanningTables } from './tables/planning.ts'
import type { ProjectsTables } from './tables/projects.ts'
import type { PromotionTables } from './tables/promotions.ts'
import type { RegistryTables } from './tables/registry.ts'
import type { RetrainingTables } from './tables/retraining.ts'
import type { RolloutTables } from './tables/rollouts.ts'
import type { ServingTables } from './tables/serving.ts'
import type { TrackingTables } from './tables/tracking.ts'

/** Every table of the one schema; each slice writes only its own family. */
export type Tables = LabelTables &
  MonitoringTables &
  RetrainingTables &
  FoundationTables &
  GateTables &
  ServingTables &
  PlanningTables &
  ExecutionTables &
  PromotionTables &
  RolloutTables &
  ProjectsTables &
  ArtifactTables &
  RegistryTables &
  TrackingTables
