"""Saves the models that the clients ask: python make_models.py FOLDER"""

import os
import sys

import mlflow.pyfunc
import mlflow.sklearn
from mlflow.models import infer_signature
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

folder = sys.argv[1]
data, labels = load_iris(return_X_y=True, as_frame=True)
for name, rows in (("columns", data), ("tensor", data.to_numpy())):
    model = LogisticRegression(max_iter=1000).fit(rows, labels)
    signature = infer_signature(rows, model.predict(rows))
    mlflow.sklearn.save_model(model, os.path.join(folder, name), signature=signature, pip_requirements=[])


class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input


mlflow.pyfunc.save_model(os.path.join(folder, "echo"), python_model=Echo(), pip_requirements=[])
