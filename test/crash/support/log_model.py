"""Logs a pyfunc model and a metric with nothing but the standard library: importing mlflow takes seconds, crash loops need many runs.

The model is a Python file that MLflow loads as `python_function` (loader module `constant`), answering its TAG's number for each row.
"""

import json
import os
import sys
import urllib.request

uri, token, run = (os.environ[name] for name in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN", "MLFLOW_RUN_ID"))


def call(method, path, body):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(uri + path, data=data, method=method, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or b"{}")


def info():
    headers = {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{uri}/api/2.0/mlflow/runs/get?run_id={run}", headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())["run"]["info"]


value = float(sys.argv[1])
model = call(
    "POST",
    "/api/2.0/mlflow/logged-models",
    {"experiment_id": info()["experiment_id"], "name": "model", "source_run_id": run},
)["model"]["info"]
folder = model["artifact_uri"].removeprefix("mlflow-artifacts:/").lstrip("/")
column = '{"type": "double", "name": "x", "required": true}'
files = {
    "MLmodel": f"""flavors:
  python_function:
    loader_module: constant
    code: code
    data: value.txt
    python_version: {sys.version.split()[0]}
model_uuid: {model["model_id"]}
signature:
  inputs: '[{column}]'
  outputs: '[{{"type": "double", "required": true}}]'
""",
    "value.txt": f"{value}\n",
    "code/constant.py": """class Model:
    def __init__(self, value):
        self.value = value

    def predict(self, rows, params=None):
        return [self.value for _ in range(len(rows))]


def _load_pyfunc(path):
    with open(path) as file:
        return Model(float(file.read()))
""",
}
for name, text in files.items():
    call("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{folder}/{name}", text.encode())
call("PATCH", f"/api/2.0/mlflow/logged-models/{model['model_id']}", {"status": "LOGGED_MODEL_READY"})
call("POST", "/api/2.0/mlflow/runs/log-metric", {"run_id": run, "key": "score", "value": value, "timestamp": 1, "step": 0})
print("logged", model["model_id"])
