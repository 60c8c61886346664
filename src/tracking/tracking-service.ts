import { type Db, type Tx, transact } from '../db/index.ts'
import type { LoggedModelId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Clock } from '../ports/clock.ts'
import { completeRuns, loggedTo } from './complete-runs.ts'
import { type Batch, checkBatch, checkMetric, checkParam, checkTag, limits } from './decide/limits.ts'
import { type ExperimentSearch, experimentStore } from './experiment-store.ts'
import { type LoggedModelSearch, loggedModelStore } from './logged-model-store.ts'
import { metricStore, type StepInterval } from './metric-store.ts'
import { type RunSearch, searchRuns } from './run-search.ts'
import { infoFrom, runStore } from './run-store.ts'
import type {
  DatasetInput,
  Experiment,
  ExperimentId,
  Found,
  KeyValue,
  Lifecycle,
  Logged,
  LoggedModel,
  LoggedModelStatus,
  MetricPoint,
  NewLoggedModel,
  NewMetric,
  NewRun,
  Run,
  RunInfo,
  RunStatus,
} from './tracking.ts'

/** Points moved in one transaction; more would keep others waiting for longer than a few milliseconds. */
const movedAtOnce = 5_000

/**
 * Experiments, runs, metrics and logged models. What takes a `tx` becomes part of the caller's transaction;
 * the rest opens its own. Times are given by the caller where a run's own clock counts, else they are the server's.
 */
export class TrackingService {
  readonly #db: Db
  readonly #clock: Clock

  constructor(parts: { db: Db; clock: Clock }) {
    this.#db = parts.db
    this.#clock = parts.clock
  }

  // Experiments

  /** The experiment of that name: made where there is none, restored where it was deleted. */
  experimentNamed(name: string): Promise<ExperimentId> {
    return transact(this.#db, async (tx) => {
      const known = await experimentStore.byName(tx, name)
      if (!known) return experimentStore.create(tx, { name, now: this.#clock.now() })
      if (known.lifecycle === 'deleted')
        await experimentStore.setLifecycle(tx, known.experimentId, 'active', this.#clock.now())
      return known.experimentId
    })
  }

  createExperiment(experiment: {
    name: string
    artifactLocation?: string
    tags?: readonly KeyValue[]
  }): Promise<ExperimentId> {
    return transact(this.#db, (tx) => experimentStore.create(tx, { ...experiment, now: this.#clock.now() }))
  }

  experiment(experimentId: ExperimentId): Promise<Experiment> {
    return experimentStore.byId(this.#db, experimentId)
  }

  experimentByName(name: string): Promise<Experiment | undefined> {
    return experimentStore.byName(this.#db, name)
  }

  searchExperiments(search: ExperimentSearch): Promise<Found<Experiment>> {
    return experimentStore.search(this.#db, search)
  }

  renameExperiment(experimentId: ExperimentId, name: string): Promise<void> {
    return transact(this.#db, (tx) => experimentStore.rename(tx, experimentId, name, this.#clock.now()))
  }

  setExperimentLifecycle(experimentId: ExperimentId, lifecycle: Lifecycle): Promise<void> {
    return transact(this.#db, (tx) => experimentStore.setLifecycle(tx, experimentId, lifecycle, this.#clock.now()))
  }

  async setExperimentTag(experimentId: ExperimentId, tag: KeyValue): Promise<void> {
    checkTag(tag, '', limits.experimentTagValue)
    return transact(this.#db, async (tx) => {
      await experimentStore.active(tx, experimentId)
      await experimentStore.setTag(tx, experimentId, tag)
    })
  }

  deleteExperimentTag(experimentId: ExperimentId, key: string): Promise<void> {
    return transact(this.#db, async (tx) => {
      await experimentStore.active(tx, experimentId)
      await experimentStore.deleteTag(tx, experimentId, key)
    })
  }

  // Runs

  startRun(tx: Tx, run: NewRun): Promise<Run> {
    return runStore.create(tx, run)
  }

  async endRun(tx: Tx, runId: string, status: RunStatus, at: EpochMs): Promise<RunInfo> {
    return runStore.update(tx, runId, { status, endedAt: at })
  }

  updateRun(tx: Tx, runId: string, change: { status?: RunStatus; endedAt?: EpochMs; name?: string }): Promise<RunInfo> {
    return runStore.update(tx, runId, change)
  }

  setRunLifecycle(tx: Tx, runId: string, lifecycle: Lifecycle): Promise<void> {
    return runStore.setLifecycle(tx, runId, lifecycle, this.#clock.now())
  }

  async logParams(tx: Tx, runId: string, params: readonly KeyValue[]): Promise<void> {
    for (const param of params) checkParam(param)
    await runStore.logParams(tx, await runStore.activeRow(tx, runId), params)
  }

  async setTags(tx: Tx, runId: string, tags: readonly KeyValue[]): Promise<void> {
    for (const tag of tags) checkTag(tag)
    await runStore.setTags(tx, await runStore.activeRow(tx, runId), tags)
  }

  async deleteTag(tx: Tx, runId: string, key: string): Promise<void> {
    await runStore.deleteTag(tx, await runStore.activeRow(tx, runId), key)
  }

  async logMetrics(tx: Tx, runId: string, metrics: readonly NewMetric[]): Promise<void> {
    for (const metric of metrics) checkMetric(metric)
    const row = await runStore.activeRow(tx, runId)
    await metricStore.log(tx, row, metrics)
    await logForModels(tx, runId, metrics)
  }

  /** All of it or nothing, within MLflow's limits. */
  async logBatch(tx: Tx, runId: string, batch: Batch & { metrics?: readonly NewMetric[] }): Promise<void> {
    checkBatch(batch)
    const row = await runStore.activeRow(tx, runId)
    await runStore.logParams(tx, row, batch.params ?? [], { inBatch: true })
    await metricStore.log(tx, row, batch.metrics ?? [])
    await logForModels(tx, runId, batch.metrics ?? [])
    await runStore.setTags(tx, row, batch.tags ?? [])
  }

  async logInputs(
    tx: Tx,
    runId: string,
    inputs: { datasets?: readonly DatasetInput[]; models?: readonly string[] },
  ): Promise<void> {
    await runStore.logInputs(tx, await runStore.activeRow(tx, runId), inputs)
  }

  async logOutputs(tx: Tx, runId: string, models: readonly { modelId: string; step: number }[]): Promise<void> {
    await runStore.logOutputs(tx, await runStore.activeRow(tx, runId), models)
  }

  /** Throws NotFound. */
  async run(runId: string): Promise<Run> {
    return (await completeRuns(this.#db, [await runStore.row(this.#db, runId)]))[0]!
  }

  /** What stands in the run's own row; cheaper than all of it. Undefined where there is no such run. */
  async findRun(runId: string): Promise<RunInfo | undefined> {
    const row = await this.#db.selectFrom('runs').selectAll().where('run_id', '=', runId).executeTakeFirst()
    return row && infoFrom(row)
  }

  searchRuns(search: RunSearch): Promise<Found<Run>> {
    return searchRuns(this.#db, search)
  }

  /** Runs that the code of a step created, oldest first. */
  async runsOwnedBy(runId: string): Promise<RunInfo[]> {
    const rows = await this.#db
      .selectFrom('runs')
      .selectAll()
      .where('owner_run_id', '=', runId)
      .orderBy('run_key')
      .execute()
    return rows.map(infoFrom)
  }

  // Metrics

  /** Throws NotFound. */
  async logged(runId: string): Promise<Logged> {
    return loggedTo(this.#db, await runStore.row(this.#db, runId))
  }

  async latestMetrics(runId: string): Promise<Record<string, number>> {
    return (await this.logged(runId)).metrics
  }

  /** All points that were logged so far are brought to where histories are read. */
  async settleMetrics(): Promise<void> {
    const ends = await metricStore.arrivals(this.#db)
    if (!ends) return
    for (let until = ends.first; until <= ends.last; until += movedAtOnce)
      await transact(this.#db, (tx) => metricStore.moveArrivals(tx, Math.min(until + movedAtOnce - 1, ends.last)))
  }

  async metricHistory(
    runId: string,
    key: string,
    page: { limit?: number; pageToken?: string } = {},
  ): Promise<Found<MetricPoint>> {
    await this.settleMetrics()
    const { run_key } = await runStore.row(this.#db, runId)
    return metricStore.history(this.#db, run_key, key, page)
  }

  /** At most `limit` points, evenly over all points (of the steps of the interval), with the first and the last. */
  async sampledHistory(
    runId: string,
    key: string,
    choice: { limit: number; interval?: StepInterval },
  ): Promise<MetricPoint[]> {
    await this.settleMetrics()
    const { run_key } = await runStore.row(this.#db, runId)
    return metricStore.sampled(this.#db, run_key, key, choice)
  }

  // Logged models

  createLoggedModel(model: NewLoggedModel): Promise<LoggedModel> {
    return transact(this.#db, (tx) => loggedModelStore.create(tx, model, this.#clock.now()))
  }

  /** Throws NotFound. */
  loggedModel(modelId: string, options: { deletedToo?: boolean } = {}): Promise<LoggedModel> {
    return loggedModelStore.byId(this.#db, modelId, options)
  }

  /** Models whose source is one of the runs, oldest first. */
  loggedModels(of: { runIds: readonly string[] }): Promise<LoggedModel[]> {
    return loggedModelStore.ofRuns(this.#db, of.runIds)
  }

  searchLoggedModels(search: LoggedModelSearch): Promise<Found<LoggedModel>> {
    return loggedModelStore.search(this.#db, search)
  }

  finalizeLoggedModel(modelId: string, status: LoggedModelStatus): Promise<LoggedModel> {
    return transact(this.#db, (tx) => loggedModelStore.finalize(tx, modelId, status, this.#clock.now()))
  }

  deleteLoggedModel(modelId: string): Promise<void> {
    return transact(this.#db, (tx) => loggedModelStore.delete(tx, modelId, this.#clock.now()))
  }

  logLoggedModelParams(modelId: string, params: readonly KeyValue[]): Promise<void> {
    return transact(this.#db, async (tx) => {
      await loggedModelStore.byId(tx, modelId, { deletedToo: true })
      await loggedModelStore.logParams(tx, modelId, params)
    })
  }

  async setLoggedModelTags(tx: Tx, modelId: LoggedModelId | string, tags: readonly KeyValue[]): Promise<void> {
    await loggedModelStore.byId(tx, modelId, { deletedToo: true })
    await loggedModelStore.setTags(tx, modelId, tags, this.#clock.now())
  }

  deleteLoggedModelTag(modelId: string, key: string): Promise<void> {
    return transact(this.#db, async (tx) => {
      await loggedModelStore.byId(tx, modelId, { deletedToo: true })
      await loggedModelStore.deleteTag(tx, modelId, key)
    })
  }
}

/** Points that name a model are said of it too. Throws NotFound for one that there is not. */
async function logForModels(tx: Tx, runId: string, metrics: readonly NewMetric[]): Promise<void> {
  const modelIds = new Set(metrics.flatMap(({ modelId }) => modelId ?? []))
  if (modelIds.size === 0) return
  await loggedModelStore.mustExist(tx, [...modelIds])
  await metricStore.logForModels(tx, runId, metrics)
}

/** A run's or a model's part of an artifact path, as its URI has it: `0/<run>/artifacts`. Undefined for foreign storage. */
export const artifactFolderOf = (artifactUri: string): string | undefined =>
  /^mlflow-artifacts:\/(?:\/\/)?(?!\/)(.*?)\/?$/.exec(artifactUri)?.[1]
