"""A model without a signature that prints, fails, waits or dies as its input says."""

import os
import time

import mlflow.pyfunc
import numpy
import pandas
from mlflow.models import set_model


class Moody(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        print("moody says hello on stdout")
        os.write(1, b"and on file descriptor 1\n")
        mood = list(model_input["mood"])[0]
        if mood == "fail":
            raise ValueError("in no mood to answer")
        if mood == "die":
            os._exit(9)
        if mood == "held":
            open(list(model_input["until"])[0] + ".begun", "w").close()
            while not os.path.exists(list(model_input["until"])[0]):
                time.sleep(0.01)
        if mood == "columns":
            return list(model_input.columns)
        if mood == "table":
            return pandas.DataFrame({"score": [0.5, float("nan")], "when": pandas.to_datetime(["2026-01-01", None])})
        if mood == "numbers":
            return [numpy.float32(0.5), numpy.int64(9007199254740993), float("inf"), numpy.bool_(True)]
        return ["fine"] * len(model_input)


set_model(Moody())
