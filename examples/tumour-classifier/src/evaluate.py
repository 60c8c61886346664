"""Measures a model on the biopsies that were held out. Modelwright runs it for the candidate, and again for the champion."""

import os

import mlflow
import pandas as pd
from sklearn.metrics import accuracy_score, precision_score, recall_score, roc_auc_score


def main():
    test = pd.read_csv("work/test.csv")
    inputs, truth = test.drop(columns=["sample_id", "diagnosis"]), test["diagnosis"]

    model = mlflow.sklearn.load_model(os.environ["MODELWRIGHT_MODEL_TUMOUR_CLASSIFIER"])
    malignant = model.predict_proba(inputs)[:, list(model.classes_).index("malignant")]
    answer = model.predict(inputs)

    metrics = {
        "auc": roc_auc_score(truth == "malignant", malignant),
        "accuracy": accuracy_score(truth, answer),
        # Of the malignant tumours, how many were found; of those called malignant, how many were.
        "recall": recall_score(truth, answer, pos_label="malignant"),
        "precision": precision_score(truth, answer, pos_label="malignant", zero_division=0),
        "rows": len(test),
    }
    with mlflow.start_run():
        mlflow.log_metrics(metrics)
    print(", ".join(f"{name} {value:.3f}" for name, value in metrics.items()))


if __name__ == "__main__":
    main()
