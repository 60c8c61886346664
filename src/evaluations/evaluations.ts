import type { EpochMs } from '../kernel/time.ts'
import type { ExperimentId } from '../tracking/index.ts'

/** A named list of questions with expected answers. Its schema and profile are JSON texts, as MLflow's clients read them. */
export type EvaluationDataset = {
  datasetId: string
  name: string
  /** Changes with every change of the records. */
  digest: string
  tags: Record<string, string | null>
  /** Each field of inputs, outputs and expectations with its type; undefined until there are records. */
  schema: string | undefined
  profile: string | undefined
  createdAt: EpochMs
  updatedAt: EpochMs
  createdBy: string | undefined
  updatedBy: string | undefined
}

export type NewEvaluationDataset = {
  name: string
  tags: Record<string, string | null>
  experimentIds: readonly ExperimentId[]
}

/**
 * One question: equal inputs in a dataset are the same record. Inputs, outputs, expectations, tags and source are JSON texts
 * whose numbers stand as they were sent, so that 1.0 stays a float and a large integer itself.
 */
export type DatasetRecord = {
  recordId: string
  datasetId: string
  inputs: string
  outputs: string | undefined
  expectations: string | undefined
  tags: string
  source: string | undefined
  sourceId: string | undefined
  sourceType: SourceType | undefined
  createdAt: EpochMs
  updatedAt: EpochMs
  createdBy: string | undefined
  updatedBy: string | undefined
}

export const sourceTypes = ['UNSPECIFIED', 'TRACE', 'HUMAN', 'DOCUMENT', 'CODE'] as const
export type SourceType = (typeof sourceTypes)[number]

/** How a response is judged, as its client wrote it down; each registration under a name is a new version. */
export type ScorerVersion = {
  scorerId: string
  experimentId: ExperimentId
  name: string
  version: number
  serialized: string
  createdAt: EpochMs
}

/** Which share of an experiment's traces a scorer would be applied to as they come in. */
export type OnlineScoringConfig = {
  configId: string
  scorerId: string
  experimentId: ExperimentId
  sampleRate: number
  filter: string | undefined
}

export const issueStatuses = ['pending', 'rejected', 'resolved'] as const
export type IssueStatus = (typeof issueStatuses)[number]

/** From the lightest to the gravest: the order in which a search sorts. */
export const issueSeverities = ['not_an_issue', 'low', 'medium', 'high'] as const
export type IssueSeverity = (typeof issueSeverities)[number]

export type Issue = {
  issueId: string
  experimentId: ExperimentId
  name: string
  description: string
  status: IssueStatus
  severity: IssueSeverity | undefined
  rootCauses: string[]
  categories: string[]
  sourceRunId: string | undefined
  createdAt: EpochMs
  updatedAt: EpochMs
  createdBy: string | undefined
  /** How many traces are said to have it; only where it was asked for. */
  traceCount?: number
}

export type NewIssue = Pick<Issue, 'experimentId' | 'name' | 'description'> &
  Partial<Pick<Issue, 'status' | 'severity' | 'rootCauses' | 'categories' | 'sourceRunId' | 'createdBy'>>
export type IssueChange = Partial<Pick<Issue, 'status' | 'severity' | 'name' | 'description'>>

/** How a reviewer answers: two words, a choice, a number within bounds, a text. */
export type LabelInput =
  | { kind: 'pass_fail'; positiveLabel: string; negativeLabel: string }
  | { kind: 'categorical'; options: string[]; multiSelect: boolean }
  | { kind: 'numeric'; minValue?: number; maxValue?: number }
  | { kind: 'text'; maxLength?: number }

/** A question to reviewers of an experiment's traces, by name. One of them is everybody's: `isDefault`. */
export type LabelSchema = {
  schemaId: string
  experimentId: ExperimentId
  name: string
  type: 'feedback' | 'expectation'
  instruction: string | undefined
  enableComment: boolean
  input: LabelInput
  createdAt: EpochMs
  updatedAt: EpochMs
  createdBy: string | undefined
  isDefault: boolean
}

export type NewLabelSchema = Pick<LabelSchema, 'experimentId' | 'name' | 'type' | 'input'> &
  Partial<Pick<LabelSchema, 'instruction' | 'enableComment'>>
export type LabelSchemaChange = Partial<Pick<LabelSchema, 'name' | 'instruction' | 'enableComment' | 'input'>>
