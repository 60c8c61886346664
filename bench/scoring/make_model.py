"""python make_model.py FOLDER: gradient boosting of 30 columns, and 200,000 rows to score."""

import os
import sys

import mlflow
import numpy
import pandas
from mlflow.models import infer_signature
from sklearn.ensemble import GradientBoostingClassifier

folder = sys.argv[1]
random = numpy.random.default_rng(7)
rows = pandas.DataFrame(random.normal(size=(200_000, 30)), columns=["f%02d" % index for index in range(30)])
labels = ((rows.f00 * rows.f01 + rows.f02 + 0.3 * rows.f03) > 0).astype(int)
model = GradientBoostingClassifier(n_estimators=100).fit(rows[:3000], labels[:3000])
signature = infer_signature(rows[:5], model.predict(rows[:5]))
mlflow.sklearn.save_model(
    model, os.path.join(folder, "model"), signature=signature, input_example=rows[:200], serialization_format="cloudpickle"
)
rows.to_csv(os.path.join(folder, "rows.csv"), index=False)
