import type { Files } from './project.ts'
import { requirements } from './sorter.ts'

/** The breast-cancer set that ships inside scikit-learn, and a model logged with signature and input example. */
export const tumourProject = (project: string): Files => ({
  'requirements.txt': requirements,
  'src/train.py': `import json, os

import mlflow
from mlflow.models import infer_signature
from sklearn.ensemble import RandomForestClassifier
from sklearn.datasets import load_breast_cancer

raw = load_breast_cancer(as_frame=True)
X = raw.data.rename(columns=lambda name: name.replace(" ", "_"))[["mean_radius", "mean_texture"]]
y = raw.target.map({0: "malignant", 1: "benign"})
test = X.index % 4 == 0
params = json.loads(os.environ["MODELWRIGHT_PARAMS"])
with mlflow.start_run():
    mlflow.log_params(params)
    model = RandomForestClassifier(n_estimators=params["trees"], random_state=int(os.environ["MODELWRIGHT_SEED"]))
    model.fit(X[~test], y[~test])
    mlflow.log_metric("accuracy", model.score(X[test], y[test]))
    mlflow.sklearn.log_model(
        model,
        name="model",
        signature=infer_signature(X, model.predict(X)),
        input_example=X.head(3),
        pip_requirements=[],
        serialization_format="cloudpickle",
    )
`,
  'modelwright.yaml': `project: ${project}
python: { requirements: requirements.txt }
steps:
  train:
    run: python src/train.py
    deps: [src/]
    params: { trees: 10 }
    seed: 7
    model: ${project}
    metrics: true
models:
  ${project}:
    gate: { objectives: [{ metric: train.accuracy, pass: ">= 0.8", key: true }] }
    promote: { production: automatic }
deployments:
  production: { model: ${project} } # kept by the promotion
`,
})
