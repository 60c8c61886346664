import type { Insertable, Selectable } from 'kysely'
import { type Db, publish, type Tx, transact } from '../db/index.ts'
import type { MonitoringTables } from '../db/tables/monitoring.ts'
import type { Digest } from '../kernel/digest.ts'
import type { Place } from '../kernel/place.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { Alert, AlertKind, DriftReport, FeatureReport, QualityReport, ReportOutcome } from './monitoring.ts'

export type AlertFilter = {
  project?: string
  environment?: string
  open?: boolean
  before?: string
  limit: number
}

/** Looks are many; an environment keeps the newest so many, and those that alerts name. */
const reportsKept = 500

export class MonitoringStore {
  readonly #db: Db

  constructor(db: Db) {
    this.#db = db
  }

  transact<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return transact(this.#db, work)
  }

  async lastReport(place: Place, digest?: Digest): Promise<DriftReport | undefined> {
    let query = this.#db
      .selectFrom('drift_reports')
      .selectAll()
      .where('project', '=', place.project)
      .where('environment', '=', place.environment)
    if (digest) query = query.where('digest', '=', digest)
    const row = await query.orderBy('seq', 'desc').limit(1).executeTakeFirst()
    return row && toReport(row)
  }

  async report(id: string): Promise<DriftReport | undefined> {
    const row = await this.#db.selectFrom('drift_reports').selectAll().where('id', '=', id).executeTakeFirst()
    return row && toReport(row)
  }

  /** Newest first; `before` is the last id of the page before. */
  async reports(place: Place, page: { before?: string; limit: number }): Promise<DriftReport[]> {
    let query = this.#db
      .selectFrom('drift_reports')
      .selectAll()
      .where('project', '=', place.project)
      .where('environment', '=', place.environment)
      .orderBy('seq', 'desc')
      .limit(page.limit)
    if (page.before) {
      const { before } = page
      query = query.where('seq', '<', (e) => e.selectFrom('drift_reports').select('seq').where('id', '=', before))
    }
    return (await query.execute()).map(toReport)
  }

  async addReport(tx: Tx, report: DriftReport): Promise<void> {
    await tx.insertInto('drift_reports').values(toRow(report)).execute()
    const oldest = await tx
      .selectFrom('drift_reports')
      .select('seq')
      .where('project', '=', report.project)
      .where('environment', '=', report.environment)
      .orderBy('seq', 'desc')
      .offset(reportsKept)
      .limit(1)
      .executeTakeFirst()
    if (!oldest) return
    await tx
      .deleteFrom('drift_reports')
      .where('project', '=', report.project)
      .where('environment', '=', report.environment)
      .where('seq', '<=', oldest.seq)
      .where('id', 'not in', (e) => e.selectFrom('alerts').select('opened_report'))
      .where('id', 'not in', (e) => e.selectFrom('alerts').select('last_report'))
      .execute()
  }

  /** Newest first. */
  async alerts(filter: AlertFilter): Promise<Alert[]> {
    let query = this.#db.selectFrom('alerts').selectAll().orderBy('id', 'desc').limit(filter.limit)
    if (filter.project !== undefined) query = query.where('project', '=', filter.project)
    if (filter.environment !== undefined) query = query.where('environment', '=', filter.environment)
    if (filter.open !== undefined) query = query.where('closed_at', filter.open ? 'is' : 'is not', null)
    if (filter.before) query = query.where('id', '<', filter.before)
    return (await query.execute()).map(toAlert)
  }

  async openAlert(tx: Tx, alert: Alert): Promise<void> {
    await tx.insertInto('alerts').values(alertRow(alert)).execute()
    await tell(tx, alert, 'opened', alert.openedAt)
  }

  async updateAlert(tx: Tx, alert: Alert): Promise<void> {
    const { id, ...row } = alertRow(alert)
    await tx.updateTable('alerts').set(row).where('id', '=', id).where('closed_at', 'is', null).execute()
  }

  async closeAlert(tx: Tx, alert: Alert, at: EpochMs, because: string): Promise<void> {
    const result = await tx
      .updateTable('alerts')
      .set({ closed_at: at, closed_because: because, updated_at: at })
      .where('id', '=', alert.id)
      .where('closed_at', 'is', null)
      .executeTakeFirst()
    if (result.numUpdatedRows > 0n) await tell(tx, alert, 'closed', at)
  }
}

async function tell(tx: Tx, alert: Alert, outcome: 'opened' | 'closed', at: EpochMs): Promise<void> {
  if (alert.kind !== 'drift') return
  const { project, environment, id, features } = alert
  await publish(tx, { type: 'drift.judged', payload: { project, environment, alertId: id, outcome, features } }, at)
}

const toRow = (report: DriftReport): Insertable<MonitoringTables['drift_reports']> => ({
  id: report.id,
  project: report.project,
  environment: report.environment,
  model: report.model,
  version: report.version,
  digest: report.digest,
  at: report.at,
  window_from: report.window.fromMs,
  window_to: report.window.toMs,
  last_prediction: report.window.last,
  rows: report.window.rows,
  answered: report.window.answered,
  input_failures: report.window.inputFailures,
  errors: report.window.errors,
  labels: report.labels.count,
  labelled_at: report.labels.lastAt,
  inputs_digest: report.inputsDigest,
  rule_version: report.ruleVersion,
  outcome: report.outcome,
  bounds: JSON.stringify(report.bounds),
  features: JSON.stringify(report.features),
  reasons: JSON.stringify(report.reasons),
  quality: report.quality ? JSON.stringify(report.quality) : null,
})

const toReport = (row: Selectable<MonitoringTables['drift_reports']>): DriftReport => ({
  id: row.id,
  project: row.project,
  environment: row.environment,
  model: row.model,
  version: row.version,
  digest: row.digest as Digest,
  at: row.at,
  window: {
    fromMs: row.window_from,
    toMs: row.window_to,
    last: row.last_prediction,
    rows: row.rows,
    answered: row.answered,
    inputFailures: row.input_failures,
    errors: row.errors,
  },
  labels: { count: row.labels, lastAt: row.labelled_at },
  inputsDigest: row.inputs_digest as Digest,
  ruleVersion: row.rule_version,
  outcome: row.outcome as ReportOutcome,
  bounds: JSON.parse(row.bounds) as DriftReport['bounds'],
  features: JSON.parse(row.features) as FeatureReport[],
  reasons: JSON.parse(row.reasons) as string[],
  ...(row.quality ? { quality: JSON.parse(row.quality) as QualityReport } : {}),
})

const alertRow = (alert: Alert): MonitoringTables['alerts'] => ({
  id: alert.id,
  project: alert.project,
  environment: alert.environment,
  model: alert.model,
  version: alert.version,
  digest: alert.digest,
  kind: alert.kind,
  subject: alert.subject,
  features: JSON.stringify(alert.features),
  reasons: JSON.stringify(alert.reasons),
  opened_at: alert.openedAt,
  opened_report: alert.openedReport,
  window_from: alert.windowFromMs,
  updated_at: alert.updatedAt,
  last_report: alert.lastReport,
  last_beyond: alert.lastBeyond,
  closed_at: alert.closedAt ?? null,
  closed_because: alert.closedBecause ?? null,
})

const toAlert = (row: Selectable<MonitoringTables['alerts']>): Alert => ({
  id: row.id,
  project: row.project,
  environment: row.environment,
  model: row.model,
  version: row.version,
  digest: row.digest as Digest,
  kind: row.kind as AlertKind,
  subject: row.subject,
  features: JSON.parse(row.features) as string[],
  reasons: JSON.parse(row.reasons) as string[],
  openedAt: row.opened_at,
  openedReport: row.opened_report,
  windowFromMs: row.window_from,
  updatedAt: row.updated_at,
  lastReport: row.last_report,
  lastBeyond: row.last_beyond,
  ...(row.closed_at === null ? {} : { closedAt: row.closed_at }),
  ...(row.closed_because === null ? {} : { closedBecause: row.closed_because }),
})
