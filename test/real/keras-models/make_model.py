"""Saves a small Keras model, and prints what it answers: python make_model.py FOLDER"""

import json
import sys

import keras
import mlflow.tensorflow
import numpy
from mlflow.models import infer_signature

keras.utils.set_random_seed(7)
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(3, activation="softmax")])
rows = numpy.array([[5.1, 3.5, 1.4, 0.2], [6.0, 3.0, 5.0, 2.0]], dtype="float32")
answers = model.predict(rows, verbose=0)
mlflow.tensorflow.save_model(model, sys.argv[1], signature=infer_signature(rows, answers), pip_requirements=[])
print(json.dumps({"rows": rows.tolist(), "answers": answers.tolist()}))
