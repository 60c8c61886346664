import { parse } from 'csv-parse/sync'
import { type Execution, type ExecutionsService, isExecutionOver, type Trigger } from '../executions/index.ts'
import { AppError, isAppError } from '../kernel/errors.ts'
import { type CommitId, newId } from '../kernel/ids.ts'
import type { Place } from '../kernel/place.ts'
import type { Actor } from '../kernel/route.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { LabelsService } from '../labels/index.ts'
import { type Alert, type MonitoringStore, measuredIn, metricSubject } from '../monitoring/index.ts'
import type { SourceReader } from '../planning/index.ts'
import type { Clock } from '../ports/clock.ts'
import type { Deployment, ProjectFile, ProjectsService } from '../projects/index.ts'
import { latestDue, nextDue } from './decide/due-times.ts'
import {
  causeKey,
  defaultLabelsWithinMs,
  leastLabelledRows,
  type RetrainDecision,
  type RetrainFacts,
  shouldRetrain,
} from './decide/should-retrain.ts'
import type { LabelledRowsFreezer } from './labelled-rows-freezer.ts'
import type { FrozenRows, RecordedDecision, RetrainCause, Retraining } from './retraining.ts'
import type { RetrainingStore } from './retraining-store.ts'

type Parts = {
  store: RetrainingStore
  clock: Clock
  projects: Pick<ProjectsService, 'get' | 'names' | 'desiredHead' | 'fileAt'>
  executions: Pick<ExecutionsService, 'start' | 'get'>
  sources: Pick<SourceReader, 'filesOf'>
  labels: Pick<LabelsService, 'count'>
  alerts: Pick<MonitoringStore, 'alerts' | 'report'>
  freezer: LabelledRowsFreezer
  /** Why nothing may go to an environment by itself until a person acts, as after an aborted rollout. */
  barred: (place: Place) => Promise<string | undefined>
  /** How many newly labelled rows drift waits for. */
  leastLabelledRows?: number
}

/** An environment as Git declares it now. */
type Declared = Place & { commit: CommitId; file: ProjectFile; deployment: Deployment }

export type RetrainingFailure = { project: string; environment?: string; error: unknown }

export type RetrainingView = {
  environment: string
  on: string[]
  cooldown: { ms: number; until?: EpochMs }
  budget: { count: number; perMs: number; left: number }
  schedules: { text: string; cron: string; nextAt?: EpochMs }[]
  /** What asks for retraining now, and what would be said of it. */
  open: RetrainDecision[]
  retrainings: Retraining[]
  decisions: RecordedDecision[]
}

const shownAtMost = 20

/** Drift, decay, a schedule or a person → "plan again, because …". */
export class RetrainingService {
  readonly #parts: Parts
  #last: Promise<unknown> = Promise.resolve()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** One round: finishes what was interrupted, then asks every environment's causes. Claimed by the caller. */
  tick(): Promise<{ failures: RetrainingFailure[] }> {
    return this.#inTurn(() => this.#round())
  }

  /** A person asks: through cool-down and budget, but never beside a retraining that is under way. */
  request(project: string, environment: string, actor: Actor, note?: string): Promise<Retraining> {
    return this.#inTurn(() => this.#request(project, environment, actor, note))
  }

  async view(project: string): Promise<RetrainingView[]> {
    const failures: RetrainingFailure[] = []
    const declared = await this.#declaredBy((await this.#parts.projects.get(project)).name, failures)
    if (failures[0]) throw failures[0].error
    const views: RetrainingView[] = []
    for (const one of declared) views.push(await this.#viewOf(one))
    return views
  }

  async #round(): Promise<{ failures: RetrainingFailure[] }> {
    const failures: RetrainingFailure[] = []
    for (const retraining of await this.#parts.store.unfinished())
      await this.#carryOut(retraining).catch((error: unknown) => {
        failures.push({ project: retraining.project, environment: retraining.environment, error })
      })
    for await (const project of this.#parts.projects.names())
      for (const declared of await this.#declaredBy(project, failures)) {
        const { environment } = declared
        await this.#decideAll(declared).catch((error: unknown) => failures.push({ project, environment, error }))
      }
    return { failures }
  }

  async #request(project: string, environment: string, actor: Actor, note?: string): Promise<Retraining> {
    const declared = await this.#declared(project, environment)
    const cause: RetrainCause = {
      kind: 'person',
      request: newId(this.#parts.clock.now()),
      actor: actor.name,
      ...(note ? { note } : {}),
    }
    const facts = await this.#factsOf(declared, cause)
    const decision = shouldRetrain(facts)
    if (decision.outcome !== 'retrain')
      throw new AppError(
        'Conflict',
        `${environment} of ${project} is not retrained now: ${decision.reasons.join('; ')}.`,
        'Wait until that is over, or cancel it.',
      )
    const intent = await this.#record(declared, facts, decision, actor.name)
    if (!intent)
      throw new AppError('Conflict', 'The request was taken before.', 'Look at the retrainings of the project.')
    return this.#carryOut(intent, 'tell')
  }

  async #decideAll(declared: Declared): Promise<void> {
    const { retrain } = declared.deployment
    const now = this.#parts.clock.now()
    const crons = retrain.on.flatMap((trigger) => (trigger.kind === 'schedule' ? [trigger.cron] : []))
    const schedules = await this.#parts.store.schedulesSince(declared, crons, now)
    for (const cause of await this.#causesOf(declared, schedules)) {
      const facts = await this.#factsOf(declared, cause)
      const decision = shouldRetrain(facts)
      if (decision.outcome === 'nothing') continue
      const intent = await this.#record(declared, facts, decision, 'modelwright')
      if (intent) await this.#carryOut(intent)
    }
  }

  #record(declared: Place, facts: RetrainFacts, decision: RetrainDecision, requestedBy: string) {
    const { project, environment } = declared
    const trigger = triggerOf(facts.cause, environment)
    return this.#parts.store.transact((tx) =>
      this.#parts.store.record(tx, { project, environment, facts, decision, trigger, requestedBy }),
    )
  }

  /**
   * From the intent on, each line may be the last before a crash: the same rows frozen again are the same version, and the same cause
   * started again is the same execution. What the user must mend ends it; anything else is tried again at the next look.
   */
  async #carryOut(retraining: Retraining, onRefusal: 'keep' | 'tell' = 'keep'): Promise<Retraining> {
    const { store, clock } = this.#parts
    try {
      const declared = await this.#declared(retraining.project, retraining.environment)
      if (!retraining.frozen) {
        const frozen = await this.#freeze(declared, retraining)
        await store.transact((tx) => store.frozen(tx, retraining, frozen))
      }
      const execution = await this.#start(declared, retraining)
      await store.transact((tx) => store.started(tx, retraining, execution.id, clock.now()))
    } catch (error) {
      if (!isAppError(error) || error.culprit !== 'yours') throw error
      await store.transact((tx) => store.failed(tx, retraining, error.toJSON(), clock.now()))
      if (onRefusal === 'tell') throw error
    }
    return store.get(retraining.id)
  }

  async #freeze(declared: Declared, { decidedAt }: Retraining): Promise<FrozenRows[]> {
    const { project, environment, file, commit, deployment } = declared
    const frozen: FrozenRows[] = []
    for (const [dataset, source] of growingData(declared)) {
      const header = await this.#headerOf(project, commit, source.path)
      const rows = await this.#parts.freezer.freeze({
        ...{ project, environment, model: deployment.model, dataset, source: file.data[dataset]!, header },
        ...{ untilMs: decidedAt, now: this.#parts.clock.now() },
      })
      if (rows) frozen.push(rows)
    }
    return frozen
  }

  async #headerOf(project: string, commit: CommitId, path: string): Promise<string[]> {
    const files = await this.#parts.sources.filesOf(project, commit)
    const bytes = await files.read(path)
    if (!bytes)
      throw new AppError(
        'DependencyMissing',
        `The data file "${path}" is not in commit ${commit.slice(0, 12)}.`,
        'Commit it, or name another file under data:.',
      )
    const [header = []] = parse(Buffer.from(bytes), { bom: true, to: 1, relax_column_count: true }) as string[][]
    return header
  }

  async #start({ project, environment, commit }: Declared, retraining: Retraining): Promise<Execution> {
    const { execution } = await this.#parts.executions.start({
      ...{ project, commit, trigger: retraining.trigger, deployable: true, requestedBy: retraining.requestedBy },
      cause: `retrain:${project}/${environment}/${retraining.cause}`,
    })
    return execution
  }

  async #causesOf(declared: Declared, schedules: ReadonlyMap<string, EpochMs>): Promise<RetrainCause[]> {
    const { project, environment, deployment } = declared
    const alerts = await this.#parts.alerts.alerts({ project, environment, open: true, limit: 100 })
    const causes: RetrainCause[] = []
    for (const trigger of deployment.retrain.on) {
      if (trigger.kind === 'drift') causes.push(...alerts.filter(({ kind }) => kind === 'drift').map(driftCause))
      if (trigger.kind === 'metric') {
        const alert = alerts.find(({ kind, subject }) => kind === 'quality' && subject === metricSubject(trigger))
        if (alert) causes.push(...(await this.#metricCause(alert, trigger.metric)))
      }
      if (trigger.kind === 'schedule') {
        const now = this.#parts.clock.now()
        const since = schedules.get(trigger.cron)
        const due = since === undefined ? undefined : latestDue(trigger.cron, since, now)
        if (due !== undefined) causes.push({ kind: 'schedule', text: trigger.text, due })
      }
    }
    return causes
  }

  async #metricCause(alert: Alert, metric: string): Promise<RetrainCause[]> {
    const report = await this.#parts.alerts.report(alert.lastReport)
    const value = report && measuredIn(report)[metric]?.value
    if (value === undefined) return []
    return [{ kind: 'metric', report: alert.openedReport, metric, value, reason: alert.reasons.join(' ') }]
  }

  async #factsOf(declared: Declared, cause: RetrainCause): Promise<RetrainFacts> {
    const { store, clock, labels } = this.#parts
    const { project, environment, deployment } = declared
    const { atMost, cooldownMs } = deployment.retrain
    const now = clock.now()
    const key = causeKey(cause)
    const lastDue = await store.lastDue(declared)
    const openExecution = await this.#openExecution(declared)
    const barred = await this.#parts.barred({ project, environment })
    const labelled = await labels.count({
      ...{ project, environment, labelledAfterMs: await store.lastFreeze(declared) },
      ...(cause.kind === 'drift' ? { sinceMs: cause.windowFromMs } : {}),
    })
    return {
      ...{ cause, now, atMost, cooldownMs },
      history: await store.history(declared, now - Math.max(atMost.perMs, cooldownMs)),
      answered: (await store.byCause(declared, key)) !== undefined,
      ...(lastDue === undefined ? {} : { lastDue }),
      ...(openExecution === undefined ? {} : { openExecution }),
      ...(barred === undefined ? {} : { barred }),
      labels: {
        needed: growingData(declared).length > 0,
        rows: labelled.count,
        least: this.#parts.leastLabelledRows ?? leastLabelledRows,
        withinMs: deployment.monitor.labels?.withinMs ?? defaultLabelsWithinMs,
      },
    }
  }

  /** The retraining of this environment that is decided and not over. Of the last few: they never go side by side. */
  async #openExecution(place: Place): Promise<string | undefined> {
    for (const { id, state, executionId } of await this.#parts.store.newest(place, 5)) {
      if (state === 'intended' || state === 'frozen') return id
      if (executionId && (await this.#isUnderWay(executionId))) return executionId
    }
    return undefined
  }

  async #isUnderWay(executionId: string): Promise<boolean> {
    try {
      return !isExecutionOver((await this.#parts.executions.get(executionId)).execution.state)
    } catch (error) {
      if (isAppError(error, 'NotFound')) return false
      throw error
    }
  }

  async #viewOf(declared: Declared): Promise<RetrainingView> {
    const { store, clock } = this.#parts
    const now = clock.now()
    const { on, atMost, cooldownMs } = declared.deployment.retrain
    const history = await store.history(declared, now - Math.max(atMost.perMs, cooldownMs))
    const last = Math.max(...history.map(({ at }) => at))
    const spent = history.filter(({ at }) => at > now - atMost.perMs).length
    const causes = await this.#causesOf(declared, await store.knownSchedules(declared))
    const decided = await Promise.all(causes.map(async (cause) => shouldRetrain(await this.#factsOf(declared, cause))))
    return {
      environment: declared.environment,
      on: on.map((trigger) =>
        trigger.kind === 'drift' ? 'drift' : trigger.kind === 'metric' ? metricSubject(trigger) : trigger.text,
      ),
      cooldown: { ms: cooldownMs, ...(last > now - cooldownMs ? { until: last + cooldownMs } : {}) },
      budget: { ...atMost, left: Math.max(0, atMost.count - spent) },
      schedules: on.flatMap((trigger) => {
        if (trigger.kind !== 'schedule') return []
        const nextAt = nextDue(trigger.cron, now)
        return [{ text: trigger.text, cron: trigger.cron, ...(nextAt === undefined ? {} : { nextAt }) }]
      }),
      open: decided,
      retrainings: await store.newest(declared, shownAtMost),
      decisions: await store.decisions(declared, shownAtMost),
    }
  }

  async #declared(project: string, environment: string): Promise<Declared> {
    const { name } = await this.#parts.projects.get(project)
    const commit = await this.#parts.projects.desiredHead(name)
    if (!commit)
      throw new AppError('Conflict', `Nothing was pushed to ${name} yet.`, 'Push a commit with modelwright.yaml first.')
    const { file } = await this.#parts.projects.fileAt(name, commit)
    const deployment = file.deployments[environment]
    if (deployment) return { project: name, environment, commit, file, deployment }
    throw new AppError(
      'NotFound',
      `${name} declares no deployment "${environment}"; there are: ${Object.keys(file.deployments).join(', ') || 'none'}.`,
      'Name one of them, or declare it under deployments:.',
    )
  }

  /** Every deployment of the file at the head. A head that cannot be read declares nothing, and is told of as a failure. */
  async #declaredBy(project: string, failures: RetrainingFailure[]): Promise<Declared[]> {
    try {
      const commit = await this.#parts.projects.desiredHead(project)
      if (!commit) return []
      const { file } = await this.#parts.projects.fileAt(project, commit)
      return Object.entries(file.deployments).map(([environment, deployment]) => ({
        ...{ project, environment, commit, file, deployment },
      }))
    } catch (error) {
      failures.push({ project, error })
      return []
    }
  }

  /** One after the other: two that look at once would both find nothing under way. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work)
    this.#last = mine.catch(() => undefined)
    return mine
  }
}

/** Datasets that take in what this environment's production saw. */
const growingData = ({ file, environment }: Pick<Declared, 'file' | 'environment'>) =>
  Object.entries(file.data).filter(([, source]) => source.plus?.predictions === environment)

const driftCause = ({ id, features, openedAt, windowFromMs }: Alert): RetrainCause => ({
  ...{ kind: 'drift', alert: id, features, openedAt, windowFromMs },
})

function triggerOf(cause: RetrainCause, environment: string): Trigger {
  switch (cause.kind) {
    case 'drift':
      return { kind: 'drift', environment, alert: cause.alert, features: cause.features }
    case 'metric':
      return { kind: 'metric', environment, metric: cause.metric, value: cause.value }
    case 'schedule':
      return { kind: 'schedule', environment, schedule: cause.text, due: cause.due }
    case 'person':
      return { kind: 'person', actor: cause.actor, ...(cause.note ? { note: cause.note } : {}) }
  }
}
