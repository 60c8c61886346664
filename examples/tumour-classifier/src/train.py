"""Trains the classifier on work/train.csv and logs it to MLflow."""

import argparse
import os

import mlflow
import pandas as pd
from mlflow.models import infer_signature
from sklearn.ensemble import GradientBoostingClassifier


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trees", type=int, default=100)
    parser.add_argument("--depth", type=int, default=2, help="greatest depth of a tree")
    arguments = parser.parse_args()
    seed = int(os.environ.get("MODELWRIGHT_SEED", "7"))

    train = pd.read_csv("work/train.csv")
    inputs, diagnosis = train.drop(columns=["sample_id", "diagnosis"]), train["diagnosis"]

    with mlflow.start_run():
        mlflow.log_params({"trees": arguments.trees, "depth": arguments.depth, "rows": len(train)})
        model = GradientBoostingClassifier(
            n_estimators=arguments.trees, max_depth=arguments.depth, random_state=seed
        ).fit(inputs, diagnosis)
        for tree, loss in enumerate(model.train_score_):
            mlflow.log_metric("training_loss", loss, step=tree)
        mlflow.log_metric("training_accuracy", model.score(inputs, diagnosis))
        mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(inputs, model.predict(inputs)),
            input_example=inputs.head(3),
            serialization_format="cloudpickle",
            pip_requirements="requirements.txt",
        )


if __name__ == "__main__":
    main()
