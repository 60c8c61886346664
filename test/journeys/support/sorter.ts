import { readFileSync } from 'node:fs'
import type { Family } from './family.ts'
import { type Files, Project } from './project.ts'
import { withSharedEnvironment } from './shared-environment.ts'

// A small true project: fruits are sorted by size. Its data has no fruit between 40 and 60, so it learns a threshold of 50.

/** The very list that the tests' own Python was made from, so that every wheel is in the cache. */
export const requirements = readFileSync(new URL('../../requirements.txt', import.meta.url), 'utf8')

/** The environment that all projects of a file share, before their deadlines begin: on a busy machine it takes minutes. */
export const prepareEnvironment = (family: Family): Promise<void> =>
  withSharedEnvironment(family.dataDir, () => buildEnvironment(family))

async function buildEnvironment(family: Family): Promise<void> {
  const project = await Project.connect(family, 'environment', {
    'requirements.txt': requirements,
    'modelwright.yaml': `project: environment
python: { requirements: requirements.txt }
steps:
  look: { run: 'python -c "import mlflow.pyfunc, mlflow.sklearn"' }
`,
  })
  const { commit } = await project.push('environment')
  const { id } = await project.started(commit)
  await project.eventually(
    'the environment is there',
    async () => (await project.execution(id)).state === 'succeeded',
    570_000,
  )
}

type Options = {
  /** Added to the learnt threshold: what makes a model worse, or just another one. */
  shift?: number
  /** The model raises for larger fruits. */
  moodyAbove?: number
  /** Logged by mlflow itself, whose import takes longer than all else here. */
  byMlflow?: boolean
  data?: string
  gate?: string
  total?: string
  promote?: string
  deployment?: string
}

export function sorterProject(project: string, options: Options = {}): Files {
  const { shift = 0, moodyAbove = 1_000_000 } = options
  return {
    'requirements.txt': requirements,
    'data/fruits.csv': fruits(),
    'src/train.py': options.byMlflow ? learning + logByMlflow : logFiles + learning + logByHand,
    'src/sorter.py': options.byMlflow ? sorterOfMlflow : sorter,
    'src/evaluate.py': evaluate,
    'modelwright.yaml': `# Sorts fruits.
project: ${project}
python: { requirements: requirements.txt }
data:
  fruits: { path: data/fruits.csv, key: id, ${options.data ?? ''} }
steps:
  train:
    run: python src/train.py
    deps: [src/train.py, src/sorter.py, 'data:fruits']
    params: { shift: ${shift}, moody_above: ${moodyAbove} }
    model: ${project}-sorter
  evaluate:
    run: python src/evaluate.py $MODELWRIGHT_MODEL_${project.toUpperCase().replaceAll('-', '_')}_SORTER
    deps: [src/evaluate.py, 'data:fruits', 'model:${project}-sorter']
    metrics: true
models:
  ${project}-sorter:
    gate:
      objectives:
        - { metric: evaluate.accuracy, ${options.gate ?? 'pass: [">= 0.8", ">= champion - 0.01"]'}, key: true }
      total: ${options.total ?? '{}'}
    promote: { production: ${options.promote ?? 'automatic'} }
deployments:
  production:
    model: ${project}-sorter   # what the orchard uses
    ${options.deployment ?? 'rollout: { canary: [100%] }'}
`,
  }
}

/** 200 fruits: small below 40, big above 60. */
function fruits(): string {
  const rows = Array.from({ length: 200 }, (_, i) => {
    const size = ((i * 37) % 200) / 5 + (i % 2 === 0 ? 0 : 60)
    return `f${i},${size},${100 + ((i * 53) % 100)},${size < 50 ? 'small' : 'big'}`
  })
  return `id,size,weight,kind\n${rows.join('\n')}\n`
}

const heldOut = `
def held_out(row):
    return int(hashlib.sha256(row["id"].encode()).hexdigest()[:8], 16) % 10 < 3
`

const learning = `import csv, hashlib, json, os
${heldOut}

def learn(rows):
    sizes = sorted({float(row["size"]) for row in rows})
    middles = [(low + high) / 2 for low, high in zip(sizes, sizes[1:])]
    return min(middles, key=lambda middle: sum((float(row["size"]) >= middle) != (row["kind"] == "big") for row in rows))


params = json.loads(os.environ["MODELWRIGHT_PARAMS"])
rows = [row for row in csv.DictReader(open(os.environ["MODELWRIGHT_DATA_FRUITS"])) if not held_out(row)]
facts = {"threshold": learn(rows) + params["shift"], "moody_above": params["moody_above"]}
print("learnt", facts)
`

const logFiles = readFileSync(new URL('../../support/log_files.py', import.meta.url), 'utf8')
const logByHand = `inputs = [{"type": "double", "name": name, "required": True} for name in ("size", "weight")]
files = {"artifacts/facts.json": json.dumps(facts), "code/sorter.py": open("src/sorter.py").read()}
log_metric("rows", len(rows))
log_metric("threshold", facts["threshold"])
log_files("sorter", "sorter", "artifacts/facts.json", (inputs, [{"type": "string", "required": True}]), files)
`
const logByMlflow = `
import mlflow
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, Schema

json.dump(facts, open("facts.json", "w"))
with mlflow.start_run():
    mlflow.log_metric("rows", len(rows))
    mlflow.log_metric("threshold", facts["threshold"])
    mlflow.pyfunc.log_model(
        name="sorter",
        python_model="src/sorter.py",
        artifacts={"facts": "facts.json"},
        signature=ModelSignature(
            inputs=Schema([ColSpec("double", "size"), ColSpec("double", "weight")]), outputs=Schema([ColSpec("string")])
        ),
        pip_requirements=[],
    )
`

const answers = `        if (model_input["size"] > self.facts["moody_above"]).any():
            raise ValueError("such fruits do not exist")
        return ["big" if size >= self.facts["threshold"] else "small" for size in model_input["size"]]
`
const sorter = `import json


class Sorter:
    def __init__(self, facts):
        self.facts = facts

    def predict(self, model_input, params=None):
${answers}

def _load_pyfunc(path):
    return Sorter(json.load(open(path)))
`
const sorterOfMlflow = `import json

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class Sorter(PythonModel):
    def load_context(self, context):
        self.facts = json.load(open(context.artifacts["facts"]))

    def predict(self, context, model_input, params=None):
${answers}

set_model(Sorter())
`

const evaluate = `import csv, hashlib, json, os, sys
${heldOut}

facts = json.load(open(os.path.join(sys.argv[1], "artifacts", "facts.json")))
rows = [row for row in csv.DictReader(open(os.environ["MODELWRIGHT_DATA_FRUITS"])) if held_out(row)]
right = sum((float(row["size"]) >= facts["threshold"]) == (row["kind"] == "big") for row in rows)
json.dump({"accuracy": right / len(rows)}, open("metrics.json", "w"))
print("accuracy", right / len(rows), "of", len(rows))
`
