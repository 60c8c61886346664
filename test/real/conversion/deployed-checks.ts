// A version of scikit-learn, from `git push` to two endpoints of the gateway: one that Git leaves to `convert: auto`, one that it keeps
// with Python. Whoever asks cannot tell them apart.
import { writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { connectProject } from '../../../src/projects/projects-contract.ts'
import { listDeployments } from '../../../src/rollouts/rollouts-contract.ts'
import type { GatewayObserved } from '../../../src/serving/index.ts'
import { eventually } from '../../journeys/support/eventually.ts'
import { Family } from '../../journeys/support/family.ts'
import { run } from '../real-parts.ts'

const project = 'tumours'

const train = `import json

import mlflow
from mlflow.models import infer_signature
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

raw = load_breast_cancer(as_frame=True)
X = raw.data.rename(columns=lambda name: name.replace(" ", "_"))
y = raw.target.map({0: "malignant", 1: "benign"})
with mlflow.start_run():
    model = make_pipeline(StandardScaler(), RandomForestClassifier(n_estimators=50, random_state=7)).fit(X[::2], y[::2])
    mlflow.log_metric("accuracy", model.score(X[1::2], y[1::2]))
    mlflow.sklearn.log_model(
        model,
        name="model",
        signature=infer_signature(X, model.predict(X)),
        input_example=X.head(200),
        serialization_format="cloudpickle",
    )
    mlflow.log_text(json.dumps({"rows": X.to_dict("records"), "labels": list(model.predict(X))}), "expected.json")
`

const files = {
  'requirements.txt': 'mlflow==3.17.2\nscikit-learn==1.9.1\n',
  'src/train.py': train,
  'modelwright.yaml': `project: ${project}
python: { requirements: requirements.txt }
steps:
  train: { run: python src/train.py, deps: [src/], model: ${project}, metrics: true }
models:
  ${project}:
    gate: { objectives: [{ metric: train.accuracy, pass: ">= 0.8", key: true }] }
    promote: { staging: automatic, production: automatic }
deployments:
  staging: { model: ${project}, serve: { convert: off } }
  production: { model: ${project} }
`,
}

type Told = { outcome: string; text: string }

/** How many checks failed. */
export async function checkDeployed(): Promise<number> {
  const family = await Family.start(['--convert', 'auto', '--slots', '2'])
  try {
    await pushed(family)
    const status = await bothServe(family)
    const expected = await expectedOf(family)
    const body = JSON.stringify({ dataframe_records: expected.rows })
    const [production, staging] = [await asked(family, 'production', body), await asked(family, 'staging', body)]
    const [version] = JSON.parse((await family.cli(family.folder, 'versions', '--json', '--project', project)).out)
      .items as {
      conversion?: Told
    }[]
    const conversion = version?.conversion
    const checks: [string, boolean][] = [
      ['production is computed as ONNX', computes(status, 'production') === 'onnx'],
      ['staging is computed by Python', computes(status, 'staging') === 'python'],
      [
        'scikit-learn, Python and ONNX answer alike',
        production === staging && production === JSON.stringify(expected.labels),
      ],
      [
        'the proof is on record',
        conversion?.outcome === 'converted' && /^ONNX; parity on 200 rows/.test(conversion.text),
      ],
    ]
    for (const [name, holds] of checks) console.log(`${holds ? 'ok     ' : 'FAILED '} deployed: ${name}`)
    console.log(`        ${conversion?.text}`)
    return checks.filter(([, holds]) => !holds).length
  } catch (error) {
    console.log(`FAILED  deployed: ${error}\n${await family.explain()}`)
    return 1
  } finally {
    await family.stop()
  }
}

async function pushed(family: Family): Promise<void> {
  const folder = join(family.folder, 'repository')
  await mkdir(join(folder, 'src'), { recursive: true })
  for (const [path, text] of Object.entries(files)) writeFileSync(join(folder, path), text)
  await family.client(connectProject, { body: { name: project } })
  const author = ['-c', 'user.name=Mia', '-c', 'user.email=mia@example.org']
  for (const words of [
    ['init', '-q', '-b', 'main'],
    ['add', '-A'],
    ['commit', '-q', '-m', 'one'],
    ['push', '-q', family.remoteOf(project), 'main'],
  ]) {
    const { code, errors } = await run('git', ['-C', folder, ...author, ...words])
    if (code !== 0) throw new Error(errors)
  }
}

const bothServe = (family: Family): Promise<GatewayObserved> =>
  eventually('both environments serve', {
    look: async () => {
      const { items } = await family.client(listDeployments, { params: { project } })
      if (items.length < 2 || items.some(({ state }) => state !== 'serving')) return undefined
      const answer = await fetch(`${family.gatewayUrl}/status`, {
        headers: { authorization: `Bearer ${family.token}` },
      })
      return (await answer.json()) as GatewayObserved
    },
    explain: async () => {
      const { items } = await family.client(listDeployments, { params: { project } })
      return `${JSON.stringify(items)}\n${await family.explain()}`
    },
    withinMs: 600_000,
  })

const computes = ({ endpoints }: GatewayObserved, environment: string) =>
  endpoints.find((one) => one.environment === environment)?.versions[0]?.computes

/** What scikit-learn itself answered in the step that trained it. */
async function expectedOf(family: Family): Promise<{ rows: object[]; labels: string[] }> {
  const call = async (path: string, body?: object) =>
    (
      await fetch(`${family.url}${path}`, {
        method: body ? 'POST' : 'GET',
        headers: { authorization: `Bearer ${family.token}`, 'content-type': 'application/json' },
        ...(body ? { body: JSON.stringify(body) } : {}),
      })
    ).json()
  const { experiments } = (await call('/api/2.0/mlflow/experiments/search', { max_results: 100 })) as {
    experiments: { experiment_id: string }[]
  }
  const { runs } = (await call('/api/2.0/mlflow/runs/search', {
    experiment_ids: experiments.map(({ experiment_id }) => experiment_id),
  })) as { runs: { info: { run_id: string } }[] }
  for (const { info } of runs) {
    const answer = await fetch(`${family.url}/get-artifact?path=expected.json&run_id=${info.run_id}`, {
      headers: { authorization: `Bearer ${family.token}` },
    })
    if (answer.ok) return (await answer.json()) as { rows: object[]; labels: string[] }
  }
  throw new Error('The training run has no expected.json.')
}

async function asked(family: Family, environment: string, body: string): Promise<string> {
  const answer = await fetch(`${family.gatewayUrl}/endpoints/${project}/${environment}/invocations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${family.token}` },
    body,
  })
  const { predictions } = (await answer.json()) as { predictions: unknown }
  return JSON.stringify(predictions)
}
