import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../db/index.ts'
import type { Tables } from '../db/tables.ts'

type Source = {
  [T in keyof Tables]: { table: T; key: (keyof Tables[T])[]; columns: (keyof Tables[T])[] }
}[keyof Tables]

/**
 * Every column in which the name of an object may stand, in whatever form: what stands in none of them, and under no artifact's
 * path, is garbage. `key` orders the rows of a table and tells them apart.
 */
export const digestColumns: readonly Source[] = [
  { table: 'dataset_versions', key: ['seq'], columns: ['digest', 'origin'] },
  { table: 'uploads', key: ['upload_id'], columns: ['digest'] },
  { table: 'model_versions', key: ['model_key', 'version'], columns: ['manifest_digest', 'content_digest', 'source'] },
  { table: 'blob_digests', key: ['blob'], columns: ['digest'] },
  { table: 'environment_locks', key: ['request'], columns: ['digest'] },
  { table: 'step_results', key: ['key'], columns: ['parts', 'result'] },
  { table: 'executions', key: ['id'], columns: ['fixed'] },
  { table: 'execution_nodes', key: ['execution_id', 'node'], columns: ['decision', 'result'] },
  { table: 'gate_verdicts', key: ['id'], columns: ['verdict', 'facts'] },
  { table: 'judged_versions', key: ['project', 'model', 'version', 'digest'], columns: ['digest', 'content_digest'] },
  { table: 'promotions', key: ['id'], columns: ['digest', 'replaces'] },
  { table: 'promotion_bars', key: ['project', 'environment', 'digest', 'at'], columns: ['digest'] },
  { table: 'desired_states', key: ['id'], columns: ['digest'] },
  { table: 'rollouts', key: ['id'], columns: ['digest', 'old_digest'] },
  { table: 'deployments', key: ['project', 'environment'], columns: ['serving_digest'] },
  { table: 'served_versions', key: ['project', 'environment', 'digest'], columns: ['digest'] },
  { table: 'gateway_revisions', key: ['id'], columns: ['content'] },
  { table: 'reproductions', key: ['id'], columns: ['digest', 'comparison'] },
  { table: 'signatures', key: ['digest', 'kind'], columns: ['digest'] },
  { table: 'retrainings', key: ['id'], columns: ['frozen', 'trigger'] },
]

/** Columns that are called digest and name no object, or one that another column names as well. */
export const otherDigests: Readonly<Record<string, string>> = {
  'artifact_files.digest': 'looked up by the sweep itself',
  'unreferenced_objects.digest': "the sweep's own note",
  'audit.digest': 'of the entry itself',
  'input_datasets.digest': "the client's own",
  'logged_model_metrics.dataset_digest': "the client's own",
  'evaluation_datasets.digest': "MLflow's own",
  'labels.digest': 'a version that served: served_versions',
  'serving_counts.digest': 'a version that served: served_versions',
  'drift_reports.digest': 'a version that served: served_versions',
  'alerts.digest': 'a version that served: served_versions',
  'version_conversions.digest': 'a version that was to serve: desired_states',
  'version_conversions.form_digest': 'of files that lie outside of the store',
  'drift_reports.inputs_digest': 'of what was decided from',
  'gate_verdicts.inputs_digest': 'of what was decided from',
  'promotion_decisions.inputs_digest': 'of what was decided from',
  'retraining_decisions.inputs_digest': 'of what was decided from',
  'rollout_decisions.inputs_digest': 'of what was decided from',
}

const pageSize = 500

/** All texts of those columns, page by page. */
export async function* textsWithDigests(db: Db): AsyncGenerator<string, void, undefined> {
  for (const source of digestColumns) {
    const key = sql.join(source.key.map((column) => sql.ref(String(column))))
    const columns = sql.join([...new Set([...source.key, ...source.columns])].map((column) => sql.ref(String(column))))
    let after: RawBuilder<unknown> = sql``
    for (;;) {
      const { rows } = await sql<Record<string, unknown>>`select ${columns} from ${sql.table(source.table)} ${after}
        order by ${key} limit ${pageSize}`.execute(db)
      for (const row of rows)
        for (const column of source.columns) {
          const value = row[String(column)]
          if (typeof value === 'string') yield value
        }
      const last = rows.at(-1)
      if (!last || rows.length < pageSize) break
      after = sql`where (${key}) > (${sql.join(source.key.map((column) => last[String(column)]))})`
    }
  }
}
