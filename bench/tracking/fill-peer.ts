import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runsOf } from './workloads.ts'

/** MLflow's own store makes the schema and the experiment; its own classes are the rows. Through its API it would take minutes. */
const script = `
import json, sys, uuid
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.store.tracking.dbmodels.models import SqlRun, SqlMetric, SqlLatestMetric, SqlParam, SqlTag
database, path, artifacts = sys.argv[1:4]
store = SqlAlchemyStore(database, artifacts)
experiment = int(store.create_experiment("search"))
runs, metrics, latest, params, tags = [], [], [], [], []
for i, run in enumerate(json.load(open(path))):
    id = uuid.uuid4().hex
    runs.append(dict(run_uuid=id, name=f"run-{i}", source_type="UNKNOWN", source_name="", entry_point_name="", user_id="", status="FINISHED", start_time=i, end_time=i, source_version="", lifecycle_stage="active", artifact_uri=f"{artifacts}/{id}", experiment_id=experiment))
    tags.append(dict(key="mlflow.runName", value=f"run-{i}", run_uuid=id))
    for m in run["metrics"]:
        row = dict(key=m["key"], value=m["value"], timestamp=m["timestamp"], step=m["step"], is_nan=False, run_uuid=id)
        metrics.append(row)
        latest.append(row)
    for p in run["params"]:
        params.append(dict(key=p["key"], value=p["value"], run_uuid=id))
with store.ManagedSessionMaker() as session:
    for table, rows in ((SqlRun, runs), (SqlTag, tags), (SqlMetric, metrics), (SqlLatestMetric, latest), (SqlParam, params)):
        session.bulk_insert_mappings(table, rows)
print(experiment)
`

export function fillPeer(python: string, database: string, folder: string, runs: number): string {
  const path = join(folder, 'runs.json')
  writeFileSync(path, JSON.stringify(runsOf(runs)))
  const out = execFileSync(python, ['-c', script, database, path, join(folder, 'artifacts')], { encoding: 'utf8' })
  return out.trim().split('\n').at(-1)!
}
