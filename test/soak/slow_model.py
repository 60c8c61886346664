"""A model that takes a while to load and writes down what it computes: see make_models.py."""

import json
import time

import mlflow.pyfunc
from mlflow.models import set_model


class Slow(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        with open(context.artifacts["setting"]) as file:
            self.setting = json.load(file)
        time.sleep(self.setting["loadSeconds"])

    def predict(self, context, model_input, params=None):
        ids = [str(value) for value in model_input["id"]]
        if self.setting.get("log"):
            with open(self.setting["log"], "a") as file:
                file.write("".join(f"{value} {self.setting['answer']}\n" for value in ids))
        return [self.setting["answer"]] * len(ids)


set_model(Slow())
