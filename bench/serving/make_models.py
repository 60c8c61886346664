"""python make_models.py FOLDER: gradient boosting of 30 features, and a classifier of iris, as mlflow saves them; the former as a joblib file too."""

import os
import sys

import joblib
import mlflow
import numpy
from mlflow.models import infer_signature
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

folder = sys.argv[1]
random = numpy.random.default_rng(7)
rows = random.normal(size=(3_000, 30))
labels = (rows[:, 0] * rows[:, 1] + rows[:, 2] + 0.3 * rows[:, 3] > 0).astype(int)


def save(name, model, rows):
    mlflow.sklearn.save_model(
        model, os.path.join(folder, name), signature=infer_signature(rows[:5], model.predict(rows[:5])), input_example=rows[:200],
        serialization_format="cloudpickle", pip_requirements=[],
    )  # fmt: skip


boosting = GradientBoostingClassifier(n_estimators=100).fit(rows, labels)
save("boosting", boosting, rows)
joblib.dump(boosting, os.path.join(folder, "boosting.joblib"))
iris, kinds = load_iris(return_X_y=True)
save("iris", LogisticRegression(max_iter=1000).fit(iris, kinds), iris)
