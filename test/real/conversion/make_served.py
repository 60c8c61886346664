"""Saves models that are served both by Python and as ONNX: python make_served.py FOLDER"""

import os
import sys

import lightgbm
import mlflow
import numpy
import pandas
import xgboost
from mlflow.models import infer_signature
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

folder = sys.argv[1]
random = numpy.random.default_rng(7)
X = pandas.DataFrame(random.normal(size=(300, 3)), columns=["a", "b c", "ü"])
HOLES = X.mask(random.random(X.shape) < 0.1)
LABELS = (X.a > X["b c"]).astype(int).to_numpy()
TEXTS = numpy.array(["no", "yes", "pérhaps"])[numpy.digitize(X.a, [-0.5, 0.5])]
REAL = (100 * X.a + X["ü"]).to_numpy()
WHOLE = pandas.DataFrame(random.integers(0, 50, (300, 2)), columns=["m", "n"])
MIXED = pandas.DataFrame({
    "city": numpy.array(["Rome", "Paris", "5.0", "5"], dtype=object)[random.integers(0, 4, 300)], "age": random.integers(18, 90, 300),
    "income": random.normal(30_000, 9_000, 300), "member": random.random(300) < 0.5,
}).astype({"city": object})  # fmt: skip


def columns(unknown):
    return ColumnTransformer([
        ("text", OneHotEncoder(handle_unknown=unknown), ["city"]),
        ("number", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "income"]),
        ("flag", "passthrough", ["member"]),
    ])  # fmt: skip


def save(name, flavor, model, table, **more):
    if flavor != "xgboost":
        more["serialization_format"] = "cloudpickle" if flavor == "sklearn" else "pickle"
    predicted = model.predict(xgboost.DMatrix(table)) if isinstance(model, xgboost.Booster) else model.predict(table)
    signature = infer_signature(table, predicted)
    # They run in the Python that saves them; to find out what they need takes MLflow seconds.
    getattr(mlflow, flavor).save_model(model, os.path.join(folder, name), signature=signature, input_example=table[:50], pip_requirements=[], **more)


quiet = {"verbose": -1, "n_estimators": 10}
mixed_labels = numpy.array(["keeps", "leaves"])[((MIXED.city == "Rome") ^ (MIXED.age > 50)).astype(int)]
save("labels", "sklearn", LogisticRegression().fit(X, LABELS), X)
save("texts", "sklearn", RandomForestClassifier(10).fit(HOLES, TEXTS), HOLES)
save("booleans", "sklearn", LogisticRegression().fit(X, LABELS == 1), X)
save("reals", "sklearn", GradientBoostingRegressor(n_estimators=10).fit(X, REAL), X)
save("two-targets", "sklearn", LinearRegression().fit(X, numpy.stack([REAL, -REAL], axis=1)), X)
save("singles", "sklearn", LinearRegression().fit(X.astype("float32"), REAL), X.astype("float32"))
save("one-column", "sklearn", LinearRegression().fit(X[["a"]], REAL), X[["a"]])
save("whole", "sklearn", RandomForestClassifier(10).fit(WHOLE, WHOLE.m > WHOLE.n), WHOLE)
save("small-whole", "sklearn", RandomForestClassifier(10).fit(WHOLE.astype("int32"), WHOLE.m > 20), WHOLE.astype("int32"))
save("tensor", "sklearn", LogisticRegression().fit(X.to_numpy(), LABELS), X.to_numpy())
save("single-tensor", "sklearn", LogisticRegression().fit(X.to_numpy(dtype="float32"), LABELS), X.to_numpy(dtype="float32"))
save("probabilities", "sklearn", LogisticRegression().fit(X, TEXTS), X, pyfunc_predict_fn="predict_proba")
mixed_model = make_pipeline(columns("ignore"), LogisticRegression()).fit(MIXED, mixed_labels)
save("mixed", "sklearn", mixed_model, MIXED, pyfunc_predict_fn="predict_proba")
save("mixed-known", "sklearn", make_pipeline(columns("error"), lightgbm.LGBMClassifier(**quiet)).fit(MIXED, mixed_labels), MIXED)
save("lightgbm", "lightgbm", lightgbm.LGBMClassifier(**quiet).fit(HOLES.rename(columns={"b c": "b"}), TEXTS), HOLES.rename(columns={"b c": "b"}))
save("xgboost", "xgboost", xgboost.XGBRegressor(n_estimators=10).fit(HOLES, REAL), HOLES)
save("booster", "xgboost", xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(X, LABELS), 10), X)
save("own-code", "sklearn", make_pipeline(FunctionTransformer(numpy.sin), LogisticRegression()).fit(X, LABELS), X)
