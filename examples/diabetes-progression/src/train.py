"""Trains one of the two models on work/train.csv and logs it to MLflow: `python src/train.py boosting` or `… linear`."""

import os
import sys

import mlflow
import pandas as pd
from lightgbm import LGBMRegressor
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from columns import CATEGORIES, TARGET, inputs_of, numbers_of


def main():
    kind = sys.argv[1]
    seed = int(os.environ.get("MODELWRIGHT_SEED", "7"))
    train = pd.read_csv("work/train.csv")
    inputs, progression = inputs_of(train), train[TARGET]

    with mlflow.start_run():
        model = {"boosting": boosting, "linear": linear}[kind](numbers_of(train), seed).fit(inputs, progression)
        mlflow.log_params({"kind": kind, "rows": len(train)})
        mlflow.log_metric("training_r2", model.score(inputs, progression))
        mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(inputs, model.predict(inputs)),
            input_example=inputs.head(3),
            serialization_format="cloudpickle",
            pip_requirements="requirements.txt",
        )
    print(f"{kind}: r2 {model.score(inputs, progression):.3f} on the training rows")


def boosting(numbers, seed):
    """LightGBM. One thread: the order in which several add up their sums is nobody's, and so not the same twice."""
    encoded = make_column_transformer((OrdinalEncoder(), CATEGORIES), ("passthrough", numbers))
    trees = LGBMRegressor(
        n_estimators=80, num_leaves=4, learning_rate=0.05, random_state=seed, n_jobs=1, deterministic=True, verbose=-1
    )
    return make_pipeline(encoded, trees)


def linear(numbers, _seed):
    encoded = make_column_transformer((OneHotEncoder(drop="if_binary"), CATEGORIES), (StandardScaler(), numbers))
    return make_pipeline(encoded, Ridge(alpha=10.0))


if __name__ == "__main__":
    main()
