import type { Digest } from '../kernel/digest.ts'
import type { ExecutionId, LoggedModelId, RunId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'

/** MLflow's stages: deprecated there, still used by its clients. */
export const stages = ['None', 'Staging', 'Production', 'Archived'] as const
export type Stage = (typeof stages)[number]

/** MLflow's prompts are registered models with this tag; its value counts in any case. */
export const promptTag = 'mlflow.prompt.is_prompt'

export const isPromptBy = (tags: Record<string, string>): boolean => tags[promptTag]?.toLowerCase() === 'true'

export type Alias = { alias: string; version: number; ownedByGit: boolean }

export type RegisteredModel = {
  name: string
  description: string | undefined
  createdAt: EpochMs
  updatedAt: EpochMs
  tags: Record<string, string>
  aliases: Alias[]
  /** The newest version of each stage, as MLflow shows them. */
  latestVersions: ModelVersion[]
}

export type ModelVersion = {
  model: string
  version: number
  createdAt: EpochMs
  updatedAt: EpochMs
  description: string | undefined
  userId: string | undefined
  stage: Stage
  /** As the client gave it: `runs:/…`, `models:/…`, `mlflow-artifacts:/…`. */
  source: string
  /** Where the bytes lie. */
  storageLocation: string
  runId: RunId | undefined
  runLink: string | undefined
  status: string
  statusMessage: string | undefined
  loggedModelId: LoggedModelId | undefined
  tags: Record<string, string>
  aliases: string[]
} & Provenance

/**
 * `modelwright`: registered after a verdict, deployable by its manifest. `client`: registered by user code; kept, and not deployable
 * unless judged.
 */
type Provenance = {
  origin: 'modelwright' | 'client'
  project: string | undefined
  /** The model's content without what changes with every logging of it. */
  contentDigest: Digest | undefined
  /** The provenance manifest in the object store; what Git names. */
  manifestDigest: Digest | undefined
  verdictId: string | undefined
  executionId: ExecutionId | undefined
}

export type NewVersion = {
  model: string
  source: string
  storageLocation?: string
  runId?: RunId
  runLink?: string
  description?: string
  userId?: string
  loggedModelId?: LoggedModelId
  tags?: readonly { key: string; value: string }[]
  origin: 'modelwright' | 'client'
  project?: string
  contentDigest?: Digest
  manifestDigest?: Digest
  verdictId?: string
  executionId?: ExecutionId
}
