"""Saves the models of the serving tests below the folder that MODELS names."""

import os

import mlflow
import mlflow.pyfunc
import mlflow.sklearn
import numpy
import pandas
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

folder = os.environ["MODELS"]


def saved(name, source, **options):
    path = os.path.join(folder, name.replace("-", "_") + ".py")
    with open(path, "w") as file:
        file.write("import mlflow\nfrom mlflow.models import set_model\n\n\n" + source + "\n\nset_model(Model())\n")
    mlflow.pyfunc.save_model(os.path.join(folder, name), python_model=path, pip_requirements=[], **options)


data, labels = load_iris(return_X_y=True, as_frame=True)
classifier = LogisticRegression(max_iter=1000).fit(data, labels)
mlflow.sklearn.save_model(
    classifier,
    os.path.join(folder, "iris"),
    signature=infer_signature(data, classifier.predict(data)),
    pip_requirements=[],
)

saved(
    "hinted",
    """class Model(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[str]) -> list[str]:
        return [one.upper() for one in model_input]
""",
)
echo = """class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input
"""
row = pandas.DataFrame({"number": [1.5], "whole": [1], "yes": [True], "text": ["a"]})
plain = infer_signature(row, row)
signature = ModelSignature(plain.inputs, plain.outputs, ParamSchema([ParamSpec("factor", "double", 1.0)]))
saved("echo", echo)
saved(
    "block",
    """class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        model_input *= 2
        return {"type": str(model_input.dtype), "values": model_input.tolist(), "params": params}
""",
    signature=ModelSignature(
        Schema([TensorSpec(numpy.dtype("float32"), (-1, 2, 2))]), None, ParamSchema([ParamSpec("factor", "double", 1.0)])
    ),
)
saved("echo-columns", echo, signature=signature)
saved(
    "doubles",
    """class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        model_input += 1
        types = {name: str(kind) for name, kind in model_input.dtypes.items()}
        return {"types": types, "index": list(model_input.index), "rows": model_input.to_numpy().tolist()}
""",
    signature=ModelSignature(Schema([ColSpec("double", "a"), ColSpec("double", "b")])),
)
saved(
    "greedy",
    """class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        import os, time

        wish = list(model_input)[0]
        if wish == "sleep":
            time.sleep(60)
        if wish == "die":
            os._exit(9)
        if wish == "fail":
            raise ValueError("in no mood")
        if wish == "environment":
            return sorted(os.environ)
        if wish.startswith("connect "):
            import socket

            socket.create_connection(("127.0.0.1", int(wish.split()[1])), 2)
        if wish == "processes":
            return [name for name in os.listdir("/proc") if name.isdigit()]
        if wish.startswith("end "):
            os.kill(int(wish.split()[1]), 9)
        return [str(one) for one in model_input]
""",
)
saved(
    "needy",
    """class Model(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        import no_such_package_anywhere

    def predict(self, context, model_input, params=None):
        return model_input
""",
)
