"""Measures one of the two models on the patients that were held out: `python src/evaluate.py boosting` or `… linear`."""

import json
import os
import sys
from pathlib import Path

import mlflow
import pandas as pd
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from columns import TARGET, inputs_of


def main():
    kind = sys.argv[1]
    test = pd.read_csv("work/test.csv")
    model = mlflow.pyfunc.load_model(os.environ[f"MODELWRIGHT_MODEL_DIABETES_{kind.upper()}"])
    answer, truth = model.predict(inputs_of(test)), test[TARGET]

    metrics = {
        "rmse": root_mean_squared_error(truth, answer),
        "mae": mean_absolute_error(truth, answer),
        "r2": r2_score(truth, answer),
        "rows": len(test),
    }
    with mlflow.start_run():
        mlflow.log_metrics(metrics)
    Path("work/scores").mkdir(parents=True, exist_ok=True)
    Path(f"work/scores/{kind}.json").write_text(json.dumps(metrics))
    print(", ".join(f"{name} {value:.3f}" for name, value in metrics.items()))


if __name__ == "__main__":
    main()
