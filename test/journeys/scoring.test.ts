import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Family } from './support/family.ts'
import { type Execution, nodeOf, Project } from './support/project.ts'

// A step that scores a table with the model of its own pipeline; the model is one of ONNX, so no Python takes part.

let family: Family
beforeAll(async () => {
  family = await Family.start(['--slots', '2'])
})
afterAll(() => family?.stop())

const fixture = new URL('../fixtures/converted/', import.meta.url).pathname
const modelFiles = ['MLmodel', 'model.onnx', 'modelwright-conversion.json']

/** Logs the files of `model/` (base64) with nothing but the standard library. */
const logger = `import base64, json, os, urllib.request
uri, token, run = (os.environ[name] for name in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN", "MLFLOW_RUN_ID"))
def call(method, path, body=None):
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(uri + path, data=data, method=method, headers=headers)) as answer:
        return json.loads(answer.read() or b"{}")
info = call("GET", "/api/2.0/mlflow/runs/get?run_id=" + run)["run"]["info"]
model = call("POST", "/api/2.0/mlflow/logged-models", {"experiment_id": info["experiment_id"], "name": "model", "source_run_id": run})["model"]["info"]
folder = model["artifact_uri"].removeprefix("mlflow-artifacts:/").lstrip("/")
for name in os.listdir("model"):
    call("PUT", "/api/2.0/mlflow-artifacts/artifacts/%s/%s" % (folder, name), base64.b64decode(open("model/" + name).read()))
call("PATCH", "/api/2.0/mlflow/logged-models/" + model["model_id"], {"status": "LOGGED_MODEL_READY"})
`

const pipeline = `project: scored
data:
  people: { path: data/people.csv }
steps:
  train: { run: python3 log.py, deps: [log.py, model/], model: clubs }
  score: { score: clubs, input: 'data:people', out: answers.csv, keep: [id] }
  show: { run: cat answers.csv, deps: [answers.csv] }
`

const files = {
  'modelwright.yaml': pipeline,
  'log.py': logger,
  'data/people.csv': readFileSync(`${fixture}rows.csv`, 'utf8'),
  ...Object.fromEntries(
    modelFiles.map((name) => [`model/${name}`, readFileSync(join(fixture, 'model', name)).toString('base64')]),
  ),
}

const runOf = async (execution: Execution, step: string) => {
  const answer = await fetch(`${family.url}/api/2.0/mlflow/runs/get?run_id=${nodeOf(execution, step).runId}`)
  const { run } = (await answer.json()) as {
    run: { data: { tags: { key: string; value: string }[]; metrics: { key: string; value: number }[] } }
  }
  return {
    tags: Object.fromEntries(run.data.tags.map(({ key, value }) => [key, value])),
    metrics: Object.fromEntries(run.data.metrics.map(({ key, value }) => [key, value])),
  }
}

it('scores with the model of its pipeline, is written down in its own run, and is reused until table or model change', async () => {
  const { labels } = JSON.parse(readFileSync(`${fixture}expected.json`, 'utf8')) as { labels: string[] }
  const project = await Project.connect(family, 'scored', files)
  const first = await project.ended((await project.push('one')).commit)
  expect(nodeOf(first, 'score').state, JSON.stringify(nodeOf(first, 'score').error)).toBe('succeeded')
  const lines = (await project.log(first.id, 'show')).trim().split('\n')
  expect(lines[0]).toMatch(/^id,prediction/)
  expect(lines.slice(1).map((line) => line.split(',')[1])).toEqual(labels)
  const { tags, metrics } = await runOf(first, 'score')
  expect(metrics).toMatchObject({ 'scoring.rows': labels.length, 'scoring.answered': labels.length })
  expect(tags['modelwright.scoring.model_digest']).toMatch(/^sha256:/)

  const second = await project.ended((await project.push('two', { 'README.md': 'words' })).commit)
  expect(nodeOf(second, 'score').state).toBe('reused')

  const [head, ...rows] = files['data/people.csv'].trim().split('\n')
  const fewer = [head, ...rows.slice(1)].join('\n')
  const third = await project.ended((await project.push('three', { 'data/people.csv': `${fewer}\n` })).commit)
  expect([nodeOf(third, 'train').state, nodeOf(third, 'score').state]).toEqual(['reused', 'succeeded'])
})
