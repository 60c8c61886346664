import { setImmediate } from 'node:timers/promises'
import { type Db, transact } from '../db/index.ts'
import { AppError, isAppError } from '../kernel/errors.ts'
import { newHexId, orderedHexId } from '../kernel/ids.ts'
import type { Clock } from '../ports/clock.ts'
import { type Experiment, type ExperimentId, type Found, invalid, type TrackingService } from '../tracking/index.ts'
import { datasetRecordStore, type NewRecord } from './dataset-record-store.ts'
import { draftOf, type RecordDraft } from './decide/dataset-record.ts'
import { mergedSchema, noFields, seeFields } from './decide/dataset-schema.ts'
import { jsonItems } from './decide/exact-json.ts'
import { checkLabelSchemaChange, checkNewLabelSchema, defaultLabelSchema } from './decide/label-schema-rules.ts'
import {
  checkOnlineScoring,
  checkSampleRate,
  checkScorerName,
  checkSerializedScorer,
  checkTraceFilter,
} from './decide/serialized-scorer.ts'
import { type DatasetSearch, evaluationDatasetStore } from './evaluation-dataset-store.ts'
import type {
  DatasetRecord,
  EvaluationDataset,
  Issue,
  IssueChange,
  LabelSchema,
  LabelSchemaChange,
  NewEvaluationDataset,
  NewIssue,
  NewLabelSchema,
  OnlineScoringConfig,
  ScorerVersion,
} from './evaluations.ts'
import { type IssueSearch, issueStore } from './issue-store.ts'
import { labelSchemaStore } from './label-schema-store.ts'
import { scorerStore } from './scorer-store.ts'

/** Records are merged this many in a transaction: other writers wait no longer than for these. */
const recordsPerTransaction = 200
const draftsAtOnce = 100

type Page = { limit: number; pageToken?: string }

/** Evaluation datasets, scorers, issues and label schemas. */
export class EvaluationsService {
  readonly #db: Db
  readonly #clock: Clock
  readonly #tracking: TrackingService

  constructor(parts: { db: Db; clock: Clock; tracking: TrackingService }) {
    this.#db = parts.db
    this.#clock = parts.clock
    this.#tracking = parts.tracking
  }

  // Datasets

  createDataset(dataset: NewEvaluationDataset): Promise<EvaluationDataset> {
    return transact(this.#db, async (tx) => {
      const datasetId = await evaluationDatasetStore.create(tx, dataset, this.#clock.now())
      return evaluationDatasetStore.byId(tx, datasetId)
    })
  }

  /** Throws NotFound. */
  dataset(datasetId: string): Promise<EvaluationDataset> {
    return evaluationDatasetStore.byId(this.#db, datasetId)
  }

  /** One that is not there is deleted already. */
  deleteDataset(datasetId: string): Promise<void> {
    return transact(this.#db, (tx) => evaluationDatasetStore.delete(tx, datasetId))
  }

  searchDatasets(search: DatasetSearch): Promise<Found<EvaluationDataset>> {
    return evaluationDatasetStore.search(this.#db, search)
  }

  /** Throws NotFound. */
  setDatasetTags(datasetId: string, tags: Record<string, string>): Promise<void> {
    return transact(this.#db, async (tx) => {
      await evaluationDatasetStore.byId(tx, datasetId, `Could not find evaluation dataset with ID ${datasetId}`)
      await evaluationDatasetStore.setTags(tx, datasetId, tags)
    })
  }

  deleteDatasetTag(datasetId: string, key: string): Promise<void> {
    return transact(this.#db, (tx) => evaluationDatasetStore.deleteTag(tx, datasetId, key))
  }

  datasetExperimentIds(datasetId: string): Promise<ExperimentId[]> {
    return evaluationDatasetStore.experimentIds(this.#db, datasetId)
  }

  /** Throws NotFound for the dataset, or for an experiment. */
  async addDatasetToExperiments(datasetId: string, experimentIds: readonly ExperimentId[]): Promise<EvaluationDataset> {
    await evaluationDatasetStore.byId(this.#db, datasetId, `Dataset '${datasetId}' not found`)
    for (const experimentId of experimentIds) await this.#knownExperiment(experimentId)
    return transact(this.#db, async (tx) => {
      const now = this.#clock.now()
      await evaluationDatasetStore.link(tx, datasetId, experimentIds, now)
      await evaluationDatasetStore.touch(tx, datasetId, now)
      return evaluationDatasetStore.byId(tx, datasetId, `Dataset '${datasetId}' not found`)
    })
  }

  /** Throws NotFound for the dataset; a link that is not there is removed already. */
  removeDatasetFromExperiments(datasetId: string, experimentIds: readonly ExperimentId[]): Promise<EvaluationDataset> {
    return transact(this.#db, async (tx) => {
      await evaluationDatasetStore.byId(tx, datasetId, `Dataset '${datasetId}' not found`)
      if (await evaluationDatasetStore.unlink(tx, datasetId, experimentIds))
        await evaluationDatasetStore.touch(tx, datasetId, this.#clock.now())
      return evaluationDatasetStore.byId(tx, datasetId)
    })
  }

  // Records

  /**
   * Merges the records of a JSON list, all of which are read and checked before the first is written. A long list is written in
   * several transactions, each of which leaves the dataset whole; sent again after a failure it merges with itself.
   * Throws NotFound, or BadRequest for what is no record.
   */
  async mergeRecords(datasetId: string, list: string): Promise<{ inserted: number; updated: number }> {
    const drafts = await readDrafts(list)
    const sum = { inserted: 0, updated: 0 }
    const now = this.#clock.now()
    const told = { now, user: lastUser(drafts) }
    // An empty list, too, is told to the dataset.
    for (let i = 0; i === 0 || i < drafts.length; i += recordsPerTransaction) {
      const some = drafts.slice(i, i + recordsPerTransaction)
      const records = some.map((draft, index) => ({ recordId: `dr-${orderedHexId(now, i + index)}`, draft }))
      const counts = await this.#mergeSome(datasetId, records, told)
      sum.inserted += counts.inserted
      sum.updated += counts.updated
    }
    return sum
  }

  /** Oldest first; none of a dataset that is not there. */
  records(datasetId: string, page: Page): Promise<Found<DatasetRecord>> {
    return datasetRecordStore.page(this.#db, datasetId, page)
  }

  deleteRecords(datasetId: string, recordIds: readonly string[]): Promise<number> {
    return transact(this.#db, async (tx) => {
      const deleted = await datasetRecordStore.delete(tx, datasetId, recordIds)
      if (deleted > 0)
        await evaluationDatasetStore.recordsDeleted(tx, datasetId, await datasetRecordStore.count(tx, datasetId))
      return deleted
    })
  }

  #mergeSome(
    datasetId: string,
    records: readonly NewRecord[],
    { now, user }: { now: number; user: string | undefined },
  ): Promise<{ inserted: number; updated: number }> {
    const fields = noFields()
    for (const { draft } of records) seeFields(fields, draft)
    return transact(this.#db, async (tx) => {
      const dataset = await evaluationDatasetStore.byId(tx, datasetId)
      const counts = await datasetRecordStore.merge(tx, datasetId, records, now)
      await evaluationDatasetStore.recordsMerged(tx, dataset, {
        schema: records.length > 0 ? mergedSchema(dataset.schema, fields) : undefined,
        records: recordsIn(dataset) + counts.inserted,
        user,
        now,
      })
      return counts
    })
  }

  // Scorers

  /** A new version of the name. Throws NotFound for the experiment, BadRequest for a scorer that may not be kept. */
  async registerScorer(experimentId: ExperimentId, name: string, serialized: string): Promise<ScorerVersion> {
    checkScorerName(name)
    const known = await this.#activeExperiment(experimentId)
    checkSerializedScorer(serialized)
    const scorer = { experimentId: known.experimentId, name, serialized }
    return transact(this.#db, (tx) => scorerStore.register(tx, scorer, this.#clock.now()))
  }

  /** The latest version of each scorer of the experiment. */
  async scorers(experimentId: ExperimentId): Promise<ScorerVersion[]> {
    return scorerStore.latest(this.#db, [(await this.#activeExperiment(experimentId)).experimentId])
  }

  /** As `scorers`, of several experiments or of all; of those that are not there or deleted none. */
  scorersAcross(experimentIds?: readonly ExperimentId[]): Promise<ScorerVersion[]> {
    return scorerStore.latest(this.#db, experimentIds)
  }

  async scorerVersions(experimentId: ExperimentId, name: string): Promise<ScorerVersion[]> {
    await this.#activeExperiment(experimentId)
    return scorerStore.versions(this.#db, experimentId, name)
  }

  /** The latest without a version. */
  async scorer(experimentId: ExperimentId, name: string, version?: number): Promise<ScorerVersion> {
    await this.#activeExperiment(experimentId)
    return scorerStore.version(this.#db, experimentId, name, version)
  }

  /** One version, or all of them. */
  async deleteScorer(experimentId: ExperimentId, name: string, version?: number): Promise<void> {
    await this.#activeExperiment(experimentId)
    await transact(this.#db, (tx) => scorerStore.delete(tx, experimentId, name, version))
  }

  async setOnlineScoring(
    experimentId: ExperimentId,
    name: string,
    { sampleRate, filter }: { sampleRate: number; filter: string | undefined },
  ): Promise<OnlineScoringConfig> {
    checkSampleRate(sampleRate)
    checkTraceFilter(filter)
    await this.#activeExperiment(experimentId)
    return transact(this.#db, async (tx) => {
      const scorerId = await scorerStore.idOf(tx, { experimentId, name })
      checkOnlineScoring(name, sampleRate)
      const config = { configId: newHexId(this.#clock.now()), scorerId, experimentId, sampleRate, filter }
      await scorerStore.setOnlineConfig(tx, config)
      return config
    })
  }

  onlineScoring(scorerIds: readonly string[]): Promise<OnlineScoringConfig[]> {
    return scorerStore.onlineConfigs(this.#db, scorerIds)
  }

  // Issues

  async createIssue(issue: NewIssue): Promise<Issue> {
    await this.#presentExperiment(issue.experimentId)
    if (issue.sourceRunId !== undefined) await this.#tracking.run(issue.sourceRunId)
    return transact(this.#db, async (tx) => issueStore.byId(tx, await issueStore.create(tx, issue, this.#clock.now())))
  }

  /** Throws NotFound. */
  issue(issueId: string): Promise<Issue> {
    return issueStore.byId(this.#db, issueId)
  }

  updateIssue(issueId: string, change: IssueChange): Promise<Issue> {
    return transact(this.#db, async (tx) => {
      await issueStore.update(tx, issueId, change, this.#clock.now())
      return issueStore.byId(tx, issueId)
    })
  }

  searchIssues(search: IssueSearch): Promise<Found<Issue>> {
    return issueStore.search(this.#db, search)
  }

  // Label schemas

  async createLabelSchema(schema: NewLabelSchema): Promise<LabelSchema> {
    checkNewLabelSchema(schema)
    await this.#presentExperiment(schema.experimentId)
    return transact(this.#db, async (tx) =>
      labelSchemaStore.byId(tx, await labelSchemaStore.create(tx, schema, this.#clock.now())),
    )
  }

  /** Throws NotFound. */
  labelSchema(schemaId: string): Promise<LabelSchema> {
    return labelSchemaStore.byId(this.#db, schemaId)
  }

  /** Throws NotFound. */
  async labelSchemaNamed(experimentId: ExperimentId, name: string): Promise<LabelSchema> {
    await this.#presentExperiment(experimentId)
    return labelSchemaStore.byName(this.#db, experimentId, name)
  }

  /** Newest first. Every experiment has at least one question, which is made when they are first asked for. */
  async labelSchemas(experimentId: ExperimentId, page: Page): Promise<Found<LabelSchema>> {
    await this.#presentExperiment(experimentId)
    if (!(await labelSchemaStore.hasDefault(this.#db, experimentId))) await this.#makeDefaultLabelSchema(experimentId)
    return labelSchemaStore.page(this.#db, experimentId, page)
  }

  updateLabelSchema(schemaId: string, change: LabelSchemaChange): Promise<LabelSchema> {
    return transact(this.#db, async (tx) => {
      const known = await labelSchemaStore.byId(tx, schemaId)
      checkLabelSchemaChange(known, change)
      await labelSchemaStore.update(tx, known, change, this.#clock.now())
      return labelSchemaStore.byId(tx, schemaId)
    })
  }

  /** One that is not there is deleted already; the default one stays. */
  deleteLabelSchema(schemaId: string): Promise<void> {
    return transact(this.#db, async (tx) => {
      const known = await labelSchemaStore.findById(tx, schemaId)
      if (known?.isDefault) throw invalid("The experiment's default question cannot be deleted.")
      await labelSchemaStore.delete(tx, schemaId)
    })
  }

  #makeDefaultLabelSchema(experimentId: ExperimentId): Promise<void> {
    return transact(this.#db, async (tx) => {
      // Another request may have made it meanwhile.
      if (await labelSchemaStore.hasDefault(tx, experimentId)) return
      await labelSchemaStore.create(tx, { ...defaultLabelSchema, experimentId, isDefault: true }, this.#clock.now())
    })
  }

  // Experiments: MLflow asks for them in three ways.

  async #activeExperiment(experimentId: ExperimentId): Promise<Experiment> {
    const experiment = await this.#tracking.experiment(experimentId)
    if (experiment.lifecycle === 'active') return experiment
    throw invalid(
      `The experiment ${experimentId} must be in the 'active' state. Current state is ${experiment.lifecycle}.`,
    )
  }

  async #presentExperiment(experimentId: ExperimentId): Promise<void> {
    const { lifecycle } = await this.#tracking.experiment(experimentId)
    if (lifecycle !== 'active') throw noExperiment(`No Experiment with id=${experimentId} exists`)
  }

  /** Here an id that is no number is one that is not there. */
  async #knownExperiment(experimentId: ExperimentId): Promise<void> {
    try {
      await this.#tracking.experiment(experimentId)
    } catch (error) {
      if (!isAppError(error)) throw error
      throw noExperiment(`No Experiment with id=${experimentId}`)
    }
  }
}

/** What the profile says: counting a large dataset at each merge would cost more than the merge. */
const recordsIn = ({ profile }: EvaluationDataset): number => Number(/\d+/.exec(profile ?? '')?.[0] ?? 0)

/** Who logged, as far as the records tell: the last one counts. */
const lastUser = (drafts: readonly RecordDraft[]): string | undefined =>
  drafts.findLast(({ user }) => user !== undefined)?.user

/** Reading a long list makes room for other requests now and then. */
async function readDrafts(list: string): Promise<RecordDraft[]> {
  const drafts: RecordDraft[] = []
  for (const item of jsonItems(list, "parameter 'records'")) {
    drafts.push(draftOf(item))
    if (drafts.length % draftsAtOnce === 0) await setImmediate()
  }
  return drafts
}

const noExperiment = (message: string): AppError =>
  new AppError('NotFound', message, 'List experiments to see which there are.')
