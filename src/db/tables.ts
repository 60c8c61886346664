import type { ArtifactTables } from './tables/artifacts.ts'
import type { EvaluationTables } from './tables/evaluations.ts'
import type { ExecutionTables } from './tables/executions.ts'
import type { FoundationTables } from './tables/foundation.ts'
import type { GateTables } from './tables/gates.ts'
import type { ImportTables } from './tables/imports.ts'
import type { LabelTables } from './tables/labels.ts'
import type { MonitoringTables } from './tables/monitoring.ts'
import type { PlanningTables } from './tables/planning.ts'
import type { ProjectsTables } from './tables/projects.ts'
import type { PromotionTables } from './tables/promotions.ts'
import type { ProvenanceTables } from './tables/provenance.ts'
import type { RegistryTables } from './tables/registry.ts'
import type { ReproductionTables } from './tables/reproductions.ts'
import type { RetrainingTables } from './tables/retraining.ts'
import type { RolloutTables } from './tables/rollouts.ts'
import type { ServingTables } from './tables/serving.ts'
import type { StepSecretTables } from './tables/step-secrets.ts'
import type { TraceTables } from './tables/traces.ts'
import type { TrackingTables } from './tables/tracking.ts'
import type { UserTables } from './tables/users.ts'
import type { WebhookTables } from './tables/webhooks.ts'

/** Every table of the one schema; each slice writes only its own family. */
export type Tables = LabelTables &
  EvaluationTables &
  ImportTables &
  MonitoringTables &
  RetrainingTables &
  FoundationTables &
  GateTables &
  ServingTables &
  PlanningTables &
  ExecutionTables &
  PromotionTables &
  ProvenanceTables &
  ReproductionTables &
  RolloutTables &
  ProjectsTables &
  ArtifactTables &
  RegistryTables &
  StepSecretTables &
  UserTables &
  TraceTables &
  WebhookTables &
  TrackingTables
