import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { type Db, isPostgres, openDatabase } from '../src/db/index.ts'
import { postgresBinaries, startServer as startPostgres } from '../test/support/postgres-server.ts'
import { type Bench, median, type Row } from './support/bench.ts'
import { memoryOfTree, remove } from './support/family.ts'
import { RawClient } from './tracking/client.ts'
import { startOurs } from './tracking/targets.ts'
import { timed } from './tracking/workloads.ts'

const pointsPerSeries = 20
const rounds = 15

/**
 * Searches over RUNS runs (100,000 unless told) with five metrics of 20 points and five params each, on SQLite and PostgreSQL: the same
 * questions at a tenth and a hundredth of that, to show how cost grows. The rows are made inside the database.
 */
export const bench: Bench = async ({ say }) => {
  const most = Number(process.env.RUNS ?? 100_000)
  const rows: Row[] = []
  for (const runs of [most / 100, most / 10, most]) {
    rows.push(...(await measured('SQLite', runs, say, (folder) => join(folder, 'data', 'modelwright.db'))))
    if (!postgresBinaries()) continue
    const postgres = await startPostgres({ synchronised: true })
    rows.push(...(await measured('PostgreSQL', runs, say, () => `${postgres.url}/postgres`)))
    await postgres.stop()
  }
  return rows
}

const questions: Record<string, Record<string, unknown>> = {
  'latest 100': {},
  'metric filter and order': { filter: 'metrics.acc > 0.5', order_by: ['metrics.acc DESC'] },
  'metric and param filter': { filter: "metrics.acc > 0.5 and params.model = 'cnn'", order_by: ['metrics.loss ASC'] },
  'one param value of many': { filter: "params.seed = '77'" },
  'runs of one name': { filter: "attributes.run_name = 'run-77'" },
}

async function measured(
  on: string,
  runs: number,
  say: (line: string) => void,
  placeIn: (folder: string) => string,
): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'mw-bench-scale-'))
  const place = placeIn(folder)
  const server = await startOurs(folder, on === 'PostgreSQL' ? ['--database', place] : [])
  // The schema is made; the rows are written while no server holds the folder.
  await server.end()
  say(`${on}: making ${runs} runs and ${runs * 5 * pointsPerSeries} points`)
  const db = await openDatabase(place)
  await fillInside(db, runs)
  await db.destroy()
  const again = await startOurs(folder, on === 'PostgreSQL' ? ['--database', place] : [])
  const client = new RawClient(again.url, 1)
  const rows: Row[] = []
  for (const [what, question] of Object.entries(questions)) {
    const times: number[] = []
    for (let round = 0; round < rounds; round++)
      times.push(
        await timed(() =>
          client.post('/api/2.0/mlflow/runs/search', { experiment_ids: ['1'], max_results: 100, ...question }),
        ),
      )
    rows.push({ what: `${what} of ${runs} runs · ${on}`, value: median(times), unit: 'ms', aim: '≤ 50' })
  }
  rows.push({ what: `server's memory after ${runs} runs · ${on}`, value: memoryOfTree(again.pid), unit: 'MB' })
  client.close()
  await again.end()
  remove(folder)
  return rows
}

/** Values that look like chance and are the same on both databases. */
async function fillInside(db: Db, runs: number): Promise<void> {
  const numbers = (count: number) =>
    isPostgres(db)
      ? sql`select i from generate_series(0, ${sql.lit(count - 1)}) as g(i)`
      : sql`with recursive g(i) as (select 0 union all select i + 1 from g where i < ${sql.lit(count - 1)}) select i from g`
  const metric = sql`(select 0 as m, 'acc' as name union all select 1, 'loss' union all select 2, 'f1' union all select 3, 'auc' union all select 4, 'time')`
  await sql`insert into experiments (id, name, artifact_location, lifecycle_stage, created_at, updated_at)
    values (1, 'scale', 'mlflow-artifacts:/1', 'active', 0, 0)`.execute(db)
  await sql`insert into runs (run_key, run_id, experiment_id, name, status, user_id, started_at, ended_at, lifecycle_stage, artifact_uri)
    select i + 1, 'run' || i, 1, 'run-' || i, 'FINISHED', '', i, i, 'active', '' from (${numbers(runs)}) n`.execute(db)
  await sql`insert into run_tags (run_key, experiment_id, key, value)
    select i + 1, 1, 'mlflow.runName', 'run-' || i from (${numbers(runs)}) n`.execute(db)
  for (const [key, value] of [
    ['lr', sql`'0.' || (i % 7)`],
    ['depth', sql`'' || (i % 5)`],
    ['model', sql`case i % 3 when 0 then 'cnn' when 1 then 'rnn' else 'mlp' end`],
    ['seed', sql`'' || i`],
    ['opt', sql`case i % 2 when 0 then 'adam' else 'sgd' end`],
  ] as const)
    await sql`insert into run_params (run_key, experiment_id, key, value)
      select i + 1, 1, ${sql.lit(key)}, ${value} from (${numbers(runs)}) n`.execute(db)
  await sql`insert into metric_series (id, run_key, experiment_id, key, value, is_nan, step, timestamp, first_step, first_timestamp, is_dense, is_ordered)
    select i * 5 + m + 1, i + 1, 1, name, ((i * 7919 + m * 104729) % 10007) / 10007.0, 0, ${sql.lit(pointsPerSeries - 1)}, ${sql.lit(pointsPerSeries - 1)}, 0, 0, 1, 1
    from (${numbers(runs)}) n cross join ${metric} k`.execute(db)
  await sql`insert into metric_points (series_id, step, timestamp, value, is_nan)
    select s.id, n.i, n.i, n.i / 7.0, 0 from metric_series s cross join (${numbers(pointsPerSeries)}) n`.execute(db)
  await sql`analyze`.execute(db)
}
