"""Converts models of each kind, and holds what the real mlflow answers with the converted folder against the library's own answer.

    python conversion_checks.py CONVERTER_FOLDER
"""

import json
import os
import sys
import tempfile
import warnings

warnings.filterwarnings("ignore")
sys.path.insert(0, sys.argv[1])

import lightgbm
import mlflow
import numpy
import pandas
import xgboost
from mlflow.models import infer_signature
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from modelwright_convert import convert
from modelwright_parity import Unequal
from modelwright_trees import NotConvertible

random = numpy.random.default_rng(7)
NAMES = ["f%d" % index for index in range(8)]
X = pandas.DataFrame(random.normal(size=(600, 8)), columns=NAMES)
HOLES = X.mask(random.random(X.shape) < 0.1)
Y2 = (X.f0 * X.f1 + X.f2 > 0).astype(int).to_numpy()
Y3 = numpy.digitize(X.f0 + X.f1, [-0.7, 0.7])
TEXTS = numpy.array(["low", "middle", "high"])[Y3]
REAL = (100 * X.f0 + X.f1 * X.f2).to_numpy()
MIXED = pandas.DataFrame({
    # As objects: mlflow's ONNX flavour does not take pandas' own texts.
    "city": numpy.array(["Rome", "Paris", "Köln"], dtype=object)[random.integers(0, 3, 600)], "age": random.integers(18, 90, 600),
    "income": random.normal(30_000, 9_000, 600), "member": random.random(600) < 0.5,
}).astype({"city": object})  # fmt: skip
MIXED_HOLES = MIXED.assign(income=MIXED.income.mask(random.random(600) < 0.2))
MIXED_Y = ((MIXED.city == "Rome") ^ (MIXED.age > 50)).astype(int).to_numpy()
INTEGERS = pandas.DataFrame(random.integers(0, 50, (600, 4)), columns=list("abcd"))
INTEGERS_Y = (INTEGERS.a * INTEGERS.b > 500).astype(int).to_numpy()
ONLY = [name for name in os.environ.get("ONLY", "").split(",") if name]
failures, scratch = [], tempfile.mkdtemp()


def columns(unknown):
    return ColumnTransformer([
        ("text", OneHotEncoder(handle_unknown=unknown), ["city"]),
        ("number", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "income"]),
        ("flag", "passthrough", ["member"]),
    ])  # fmt: skip


def save(flavor, model, table, name, signed=True, **more):
    folder = os.path.join(scratch, name)
    predicted = flavored(flavor, model, table)
    if signed:
        more["signature"] = infer_signature(table, predicted)
    if flavor != "xgboost":
        # skops, which is MLflow's default, takes what it knows only.
        more["serialization_format"] = "cloudpickle" if flavor == "sklearn" else "pickle"
    getattr(mlflow, flavor).save_model(model, folder, input_example=table.head(100), **more)
    return folder


def flavored(flavor, model, table):
    if isinstance(model, xgboost.Booster):
        return model.predict(xgboost.DMatrix(table))
    return model.predict(table)


def written(name, tables):
    paths = []
    for index, (kind, table) in enumerate(tables):
        paths.append(os.path.join(scratch, "%s-%d.%s" % (name, index, kind)))
        if kind == "parquet":
            table.to_parquet(paths[-1])
        else:
            table.to_csv(paths[-1], index=False, sep="\t" if kind == "tsv" else ",")
    return paths


def check(name, flavor, model, table, fresh=None, data=(), **more):
    if ONLY and name not in ONLY:
        return None
    try:
        folder = save(flavor, model, table, name, **more)
        rows = None
        if fresh is not None:
            rows = os.path.join(scratch, name + ".parquet")
            fresh.to_parquet(rows)
        output = folder + "-onnx"
        record = convert({"model": folder, "output": output, "rows": rows, "tolerance": 1e-5, "data": written(name, data)})
        converted, original = mlflow.pyfunc.load_model(output), mlflow.pyfunc.load_model(folder)
        seen = table.iloc[100:] if fresh is None else fresh
        got = converted.predict(seen)
        expected = numpy.asarray(original.predict(seen))
        main = got[record["answer"]].to_numpy().reshape(expected.shape)
        if expected.dtype.kind == "f":
            assert numpy.allclose(main.astype(float), expected, rtol=1e-5, atol=1e-5), (main[:5], expected[:5])
        else:
            differ = main != expected
            if differ.any():
                # Only where the original's own two best probabilities are equal but for the last digits.
                best = numpy.sort(model.predict_proba(seen), axis=1)[:, -2:]
                assert (best[differ, 1] - best[differ, 0] <= 1e-6).all(), (main[:5], expected[:5])
            assert numpy.asarray(main.tolist()).dtype.kind == numpy.asarray(expected.tolist()).dtype.kind
        if hasattr(model, "predict_proba") and "pyfunc_predict_fn" not in more:
            each = [name for name in got.columns if name.startswith("probability_")]
            assert numpy.allclose(got[each].to_numpy(), model.predict_proba(seen), atol=1e-5)
        print("ok      %-32s %s" % (name, json.dumps({key: record[key] for key in ("rows", "thresholdRows", "largestDifference", "computes")})))
        return record
    except (Exception, SystemExit) as error:
        failures.append(name)
        print("FAILED  %-32s %s: %s" % (name, type(error).__name__, str(error)[:400]))
        if os.environ.get("TRACE"):
            import traceback

            traceback.print_exc()


def recorded(record, holds):
    if ONLY and record is None:
        return
    if record is None or not holds(record):
        failures.append("a record")
        print("FAILED  the record is %s" % record)


def refused(name, kind, words, flavor, model, table, **more):
    if ONLY and name not in ONLY:
        return
    folder = save(flavor, model, table, name, **more)
    try:
        convert({"model": folder, "output": folder + "-onnx", "rows": None, "tolerance": 1e-5})
    except kind as error:
        if words in str(error):
            print("ok      %-32s refused: %s" % (name, str(error)[:150]))
            return
        print("FAILED  %-32s refused in other words: %s" % (name, error))
    else:
        print("FAILED  %-32s was converted" % name)
    failures.append(name)


quiet = {"verbose": -1, "n_estimators": 20}
check("logistic", "sklearn", LogisticRegression().fit(X, Y2), X)
check("logistic-of-texts", "sklearn", make_pipeline(StandardScaler(), LogisticRegression()).fit(X, TEXTS), X)
check("logistic-of-booleans", "sklearn", LogisticRegression().fit(X, Y2 == 1), X)
check("linear", "sklearn", LinearRegression().fit(X, REAL), X)
check("linear-of-two-targets", "sklearn", LinearRegression().fit(X, numpy.stack([REAL, -REAL], axis=1)), X)
check("tree", "sklearn", DecisionTreeClassifier(max_depth=6).fit(X, Y3), X)
check("forest", "sklearn", RandomForestClassifier(20).fit(X, TEXTS), X)
check("extra-trees", "sklearn", ExtraTreesClassifier(20).fit(X, Y2), X)
check("forest-of-numbers", "sklearn", RandomForestRegressor(20).fit(X, REAL), X)
check("gradient-boosting", "sklearn", GradientBoostingClassifier(n_estimators=30).fit(X, Y2), X)
check("gradient-boosting-3", "sklearn", GradientBoostingClassifier(n_estimators=10).fit(X, Y3), X)
check("gradient-boosting-of-numbers", "sklearn", GradientBoostingRegressor(n_estimators=30).fit(X, REAL), X)
check("scaled-gradient-boosting", "sklearn", make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=10)).fit(X, Y2), X)
record = check("histogram-boosting", "sklearn", HistGradientBoostingClassifier(max_iter=20).fit(HOLES, Y2), HOLES)
recorded(record, lambda found: found["refuses"] == {"missing": [], "infinite": [], "large": [], "empty": True})
check("histogram-boosting-3", "sklearn", HistGradientBoostingClassifier(max_iter=10).fit(HOLES, TEXTS), HOLES)
check("histogram-boosting-of-numbers", "sklearn", HistGradientBoostingRegressor(max_iter=20).fit(HOLES, REAL), HOLES)
check("histogram-boosting-of-counts", "sklearn", HistGradientBoostingRegressor(loss="poisson", max_iter=20).fit(X, numpy.abs(REAL)), X)
check("forest-with-missing", "sklearn", RandomForestClassifier(20).fit(HOLES, Y2), HOLES)
record = check("imputed", "sklearn", make_pipeline(SimpleImputer(), LogisticRegression()).fit(HOLES, Y2), HOLES)
recorded(record, lambda found: found["refuses"]["missing"] == [])
record = check("plain-refuses-missing", "sklearn", LogisticRegression().fit(X, Y2), X)
recorded(record, lambda found: found["refuses"]["missing"] == NAMES)
check("integers", "sklearn", RandomForestClassifier(20).fit(INTEGERS, INTEGERS_Y), INTEGERS)
check("singles", "sklearn", RandomForestClassifier(20).fit(X.astype("float32"), Y2), X.astype("float32"))
check("columns", "sklearn", make_pipeline(columns("ignore"), LogisticRegression()).fit(MIXED, MIXED_Y), MIXED)
record = check("columns-known-only", "sklearn", make_pipeline(columns("error"), GradientBoostingClassifier(n_estimators=10)).fit(MIXED, MIXED_Y), MIXED)
recorded(record, lambda found: found["categories"] == {"city": ["Köln", "Paris", "Rome"]})
check("columns-with-missing", "sklearn", make_pipeline(columns("ignore"), RandomForestClassifier(10)).fit(MIXED_HOLES, MIXED_Y), MIXED_HOLES)
check("columns-then-lightgbm", "sklearn", make_pipeline(columns("ignore"), lightgbm.LGBMClassifier(**quiet)).fit(MIXED, MIXED_Y), MIXED)
check("columns-then-xgboost", "sklearn", make_pipeline(columns("ignore"), xgboost.XGBClassifier(n_estimators=20)).fit(MIXED, MIXED_Y), MIXED)
wide = pandas.DataFrame({"word": numpy.array(["w%d" % one for one in range(40)], dtype=object)[random.integers(0, 40, 600)], "income": MIXED.income}).astype({"word": object})
sparse = make_pipeline(ColumnTransformer([("word", OneHotEncoder(), ["word"])], remainder="passthrough"), xgboost.XGBClassifier(n_estimators=10))
check("sparse-then-xgboost", "sklearn", sparse.fit(wide, MIXED_Y), wide)
check("probabilities-as-answer", "sklearn", LogisticRegression().fit(X, Y3), X, pyfunc_predict_fn="predict_proba")
check("unsigned", "sklearn", RandomForestClassifier(20).fit(X.to_numpy(), Y2), X, signed=False)
check("clusters", "sklearn", KMeans(3, n_init=1).fit(X), X)
check("neural", "sklearn", MLPClassifier((16,), max_iter=50).fit(X, Y3), X)
check("rows-of-a-file", "sklearn", LogisticRegression().fit(X, Y2), X, fresh=X.tail(300))
# Of the data of a version: other columns beside those of the model, holes, a file that lacks one, values that the original refuses.
DATA = [("csv", HOLES.assign(label=Y2)), ("tsv", X.head(20)), ("parquet", X.tail(7)), ("csv", X.drop(columns="f7"))]
record = check("data-of-the-version", "sklearn", LogisticRegression().fit(X, Y2), X, data=DATA)
recorded(record, lambda found: found["rows"] == 100 and found["dataRows"] == len(HOLES.dropna()) + 27)
record = check("data-of-integers", "sklearn", RandomForestClassifier(20).fit(INTEGERS, INTEGERS_Y), INTEGERS, data=[("csv", INTEGERS)])
recorded(record, lambda found: found["dataRows"] == 600)
record = check("data-of-columns", "sklearn", make_pipeline(columns("error"), GradientBoostingClassifier(n_estimators=10)).fit(MIXED, MIXED_Y), MIXED, data=[("csv", MIXED_HOLES), ("csv", MIXED.assign(city="Oslo"))])
recorded(record, lambda found: found["dataRows"] == len(MIXED_HOLES.dropna()))
check("lightgbm", "lightgbm", lightgbm.LGBMClassifier(**quiet).fit(X, Y2), X)
check("lightgbm-3", "lightgbm", lightgbm.LGBMClassifier(**quiet).fit(HOLES, TEXTS), HOLES)
check("lightgbm-one-against-all", "lightgbm", lightgbm.LGBMClassifier(objective="multiclassova", **quiet).fit(X, Y3), X)
check("lightgbm-of-numbers", "lightgbm", lightgbm.LGBMRegressor(**quiet).fit(HOLES, REAL), HOLES)
check("lightgbm-forest", "lightgbm", lightgbm.LGBMRegressor(boosting_type="rf", bagging_freq=1, bagging_fraction=0.7, **quiet).fit(X, REAL), X)
check("lightgbm-missing-unseen", "lightgbm", lightgbm.LGBMRegressor(**quiet).fit(X, REAL), HOLES)
table = INTEGERS.astype(float)
check("lightgbm-categories", "lightgbm", lightgbm.LGBMClassifier(**quiet).fit(table, INTEGERS_Y, categorical_feature=["a"]), table)
check("lightgbm-booster", "lightgbm", lightgbm.train({"objective": "binary", "verbose": -1}, lightgbm.Dataset(X, Y2), 20), X)
check("lightgbm-booster-3", "lightgbm", lightgbm.train({"objective": "multiclass", "num_class": 3, "verbose": -1}, lightgbm.Dataset(X, Y3), 5), X)
check("xgboost", "xgboost", xgboost.XGBClassifier(n_estimators=20).fit(X, Y2), X)
check("xgboost-3", "xgboost", xgboost.XGBClassifier(n_estimators=10).fit(HOLES, Y3), HOLES)
check("xgboost-of-numbers", "xgboost", xgboost.XGBRegressor(n_estimators=20).fit(HOLES, REAL), HOLES)
check("xgboost-of-counts", "xgboost", xgboost.XGBRegressor(objective="count:poisson", n_estimators=20).fit(X, numpy.abs(REAL)), X)
half = slice(0, 300)
early = xgboost.XGBClassifier(n_estimators=200, early_stopping_rounds=3, learning_rate=1.0)
check("xgboost-stopped-early", "xgboost", early.fit(X[half], Y2[half], eval_set=[(X[300:], Y2[300:])], verbose=False), X)
check("xgboost-booster", "xgboost", xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(X, Y2), 20), X)
check("xgboost-booster-3", "xgboost", xgboost.train({"objective": "multi:softprob", "num_class": 3}, xgboost.DMatrix(X, Y3), 5), X)
refused("code-of-its-own", NotConvertible, "FunctionTransformer", "sklearn", make_pipeline(FunctionTransformer(numpy.sin), LogisticRegression()).fit(X, Y2), X)
refused("outliers", Unequal, "missing and infinite", "sklearn", IsolationForest(n_estimators=20).fit(X), X)
refused("dart", NotConvertible, "dart", "xgboost", xgboost.XGBClassifier(booster="dart", n_estimators=3).fit(X, Y2), X)
print("%d failed%s" % (len(failures), ": " + ", ".join(failures) if failures else ""))
sys.exit(1 if failures else 0)
