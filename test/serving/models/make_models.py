"""Makes the MLflow models of the gateway's tests: python make_models.py FOLDER"""

import os
import shutil
import sys

import mlflow
import mlflow.pyfunc
import mlflow.sklearn
import pandas
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

folder = sys.argv[1]
rows = pandas.DataFrame({"radius": [1.0, 2.0, 3.0, 4.0], "texture": [4.0, 3.0, 2.0, 1.0]})


def classifier(name, low, high):
    """Answers `low` below a radius of 2.5 and `high` above it."""
    model = LogisticRegression(C=1000).fit(rows, [low, low, high, high])
    mlflow.sklearn.save_model(
        model,
        os.path.join(folder, name),
        signature=infer_signature(rows, model.predict(rows)),
        input_example=rows.head(2),
        pip_requirements=[],
    )


classifier("one", 10, 11)
classifier("two", 20, 21)

mlflow.pyfunc.save_model(
    os.path.join(folder, "moody"),
    python_model=os.path.join(os.path.dirname(os.path.abspath(__file__)), "moody_model.py"),
    pip_requirements=[],
)

shutil.copytree(os.path.join(folder, "one"), os.path.join(folder, "broken"))
for name in os.listdir(os.path.join(folder, "broken")):
    if name.startswith("model."):
        with open(os.path.join(folder, "broken", name), "wb") as file:
            file.write(b"these are no model's bytes")
