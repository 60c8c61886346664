import type { Tx } from '../db/index.ts'
import { canonicalJson, digestOfJson } from '../kernel/digest.ts'
import { newId } from '../kernel/ids.ts'
import type { Place } from '../kernel/place.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { LabelledRow, LabelsService } from '../labels/index.ts'
import type { Clock } from '../ports/clock.ts'
import { notInLog, type PredictionLog, type PredictionRow } from '../serving/index.ts'
import { alertMove } from './decide/alert-move.ts'
import { type Finding, findingsOf, greatest, requestOf } from './decide/findings.ts'
import { judgeQuality } from './decide/judge-quality.ts'
import { judgeWindow } from './decide/judge-window.ts'
import { driftBounds, monitorRuleVersion, type WindowBounds, windowAt } from './decide/window.ts'
import type { Alert, DriftReport, ReferenceOf, WatchedDeployment } from './monitoring.ts'
import type { MonitoringStore } from './monitoring-store.ts'

type Parts = {
  store: MonitoringStore
  clock: Clock
  /** The newest rows first. */
  predictions: Pick<PredictionLog, 'rows' | 'observationsSince'>
  labels: Pick<LabelsService, 'count' | 'latestLabelledRows'>
  referenceOf: ReferenceOf
  /** Environments that serve something now. */
  deployments: () => Promise<WatchedDeployment[]>
  /** An environment is looked at no more often than this; traffic would else write a report with every row. */
  pauseMs?: number
}

const qualityRows = 500
const defaultPauseMs = 5_000

/** Looks at what production serves: windows of predictions beside their reference, answers beside their labels. */
export class MonitoringService {
  readonly #parts: Parts
  readonly #looks = new Map<string, { at: EpochMs; seen: string }>()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** One round over all environments. Claimed by the caller. What one fails at stops no other. */
  async tick(): Promise<{ failures: (Place & { error: unknown })[] }> {
    const failures: (Place & { error: unknown })[] = []
    for (const deployment of await this.#parts.deployments()) {
      const { project, environment } = deployment
      await this.#watch(deployment).catch((error: unknown) => failures.push({ project, environment, error }))
    }
    return { failures }
  }

  async #watch(deployment: WatchedDeployment): Promise<void> {
    const { project, environment } = deployment
    const now = this.#parts.clock.now()
    await this.#closeOfOtherVersions(deployment, now)
    const place = `${project}/${environment}/${deployment.digest}`
    const before = this.#looks.get(place)
    const since = before === undefined ? Number.POSITIVE_INFINITY : now - before.at
    if (since >= 0 && since < (this.#parts.pauseMs ?? defaultPauseMs)) return
    const seen = await this.#counted(deployment)
    if (seen !== before?.seen) await this.#look(deployment, now)
    this.#looks.set(place, { at: now, seen })
  }

  /** Counts that change with every request and label: cheap to ask, while reading rows opens tables. */
  async #counted({ project, environment, digest, monitor, retrain }: WatchedDeployment): Promise<string> {
    const last = await this.#parts.store.lastReport({ project, environment }, digest)
    const since = last?.window.toMs ?? 0
    const { requests } = await this.#parts.predictions.observationsSince(project, environment, digest, since)
    const labels = await this.#parts.labels.count({ project, environment, digest })
    return canonicalJson({ since, requests, labels, monitor, retrain })
  }

  async #look(deployment: WatchedDeployment, now: EpochMs): Promise<void> {
    const { project, environment, digest, monitor } = deployment
    const bounds = windowAt(now, monitor.window)
    const { fromMs, toMs, limit } = bounds
    const rows = (await this.#parts.predictions.rows({ project, environment, digest, fromMs, toMs, limit })).reverse()
    if (rows.length === 0) return
    const labels = await this.#parts.labels.count({ project, environment, digest })
    if (await this.#isKnown(deployment, rows, labels, bounds)) return
    const labelled =
      labels.count === 0
        ? []
        : await this.#parts.labels.latestLabelledRows({ project, environment, digest }, qualityRows)
    const report = await this.#report(deployment, { now, rows, labels, labelled, bounds })
    const findings = findingsOf(deployment, report, rows, labelled)
    const open = await this.#parts.store.alerts({ project, environment, open: true, limit: 1000 })
    await this.#parts.store.transact(async (tx) => {
      await this.#parts.store.addReport(tx, report)
      for (const finding of findings) await this.#move(tx, finding, report, open)
      await this.#closeUndeclared(tx, findings, report, open)
    })
  }

  /** A look at the same rows, labels and bounds would say the same. */
  async #isKnown(
    deployment: WatchedDeployment,
    rows: readonly PredictionRow[],
    labels: DriftReport['labels'],
    { minRows }: WindowBounds,
  ): Promise<boolean> {
    const last = await this.#parts.store.lastReport(deployment, deployment.digest)
    if (!last) return false
    const judgedBy = { drift: driftBounds(deployment.monitor.drift), minRows }
    return (
      last.window.last === newestOf(rows) &&
      last.labels.count === labels.count &&
      last.labels.lastAt === labels.lastAt &&
      last.ruleVersion === monitorRuleVersion &&
      digestOfJson(last.bounds) === digestOfJson(judgedBy)
    )
  }

  async #report(
    deployment: WatchedDeployment,
    seen: {
      now: EpochMs
      rows: readonly PredictionRow[]
      labels: DriftReport['labels']
      labelled: readonly LabelledRow[]
      bounds: WindowBounds
    },
  ): Promise<DriftReport> {
    const { now, rows, labels, labelled, bounds } = seen
    const { project, environment, model, version, digest, monitor, log } = deployment
    const answered = rows.filter(({ outcome }) => outcome === 'answered')
    const judgedBy = { drift: driftBounds(monitor.drift), minRows: bounds.minRows }
    const verdict = judgeWindow({
      rows: answered.map(({ input }) => input),
      reference: await this.#parts.referenceOf(digest),
      bounds: judgedBy.drift,
      minRows: judgedBy.minRows,
      ...(log ? { leftOut: (column: string) => notInLog(log, column) } : {}),
    })
    const quality = judgeQuality(labelled)
    const window = {
      fromMs: rows[0]!.at,
      toMs: rows.at(-1)!.at,
      last: newestOf(rows),
      rows: rows.length,
      answered: answered.length,
      inputFailures: rows.filter(({ outcome }) => outcome === 'input refused').length,
      errors: rows.filter(({ outcome }) => outcome === 'failed').length,
    }
    return {
      ...{ id: newId(now), project, environment, model, version, digest, at: now },
      ...{ window, labels, bounds: judgedBy, ...verdict, ...(quality ? { quality } : {}) },
      inputsDigest: digestOfJson({ window, judgedBy, features: verdict.features, quality: quality ?? null }),
      ruleVersion: monitorRuleVersion,
    }
  }

  async #move(tx: Tx, finding: Finding, report: DriftReport, open: readonly Alert[]): Promise<void> {
    const alert = open.find(
      ({ kind, subject, digest }) => kind === finding.kind && subject === finding.subject && digest === report.digest,
    )
    const move = alertMove({
      isOpen: alert !== undefined,
      sight: finding.sight,
      rowsSince: alert ? finding.ids.filter((id) => id > alert.lastBeyond).length : 0,
      minRows: finding.minRows,
    })
    if (move === 'open') await this.#parts.store.openAlert(tx, newAlert(finding, report))
    if (move === 'update') await this.#parts.store.updateAlert(tx, { ...alert!, ...latest(finding, report) })
    if (move === 'close') await this.#parts.store.closeAlert(tx, alert!, report.at, finding.reasons.join(' '))
  }

  /** A bound that the file no longer has cannot be broken. */
  async #closeUndeclared(tx: Tx, findings: readonly Finding[], report: DriftReport, open: readonly Alert[]) {
    const declared = new Set(findings.map(({ kind, subject }) => `${kind} ${subject}`))
    for (const alert of open)
      if (!declared.has(`${alert.kind} ${alert.subject}`))
        await this.#parts.store.closeAlert(tx, alert, report.at, `modelwright.yaml no longer says ${alert.subject}.`)
  }

  async #closeOfOtherVersions({ project, environment, version, digest }: WatchedDeployment, now: EpochMs) {
    const open = await this.#parts.store.alerts({ project, environment, open: true, limit: 1000 })
    const others = open.filter((alert) => alert.digest !== digest)
    if (others.length === 0) return
    await this.#parts.store.transact(async (tx) => {
      for (const alert of others)
        await this.#parts.store.closeAlert(
          tx,
          alert,
          now,
          `Version ${version} serves instead of version ${alert.version}.`,
        )
    })
  }
}

const newestOf = (rows: readonly PredictionRow[]): string => greatest(rows.map(({ id }) => requestOf(id)))

function newAlert(finding: Finding, report: DriftReport): Alert {
  const { project, environment, model, version, digest, at, window } = report
  return {
    ...{ id: newId(at), project, environment, model, version, digest, kind: finding.kind, subject: finding.subject },
    ...{ openedAt: at, openedReport: report.id, windowFromMs: window.fromMs },
    ...latest(finding, report),
  }
}

const latest = (finding: Finding, report: DriftReport) => ({
  features: finding.features,
  reasons: finding.reasons,
  updatedAt: report.at,
  lastReport: report.id,
  lastBeyond: greatest(finding.ids),
})
