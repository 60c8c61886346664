"""Lays the scores of all models side by side: work/comparison.csv, the best one first."""

import json
from pathlib import Path

import pandas as pd


def main():
    scores = {path.stem: json.loads(path.read_text()) for path in sorted(Path("work/scores").glob("*.json"))}
    table = pd.DataFrame.from_dict(scores, orient="index").rename_axis("model").sort_values("rmse")
    table.to_csv("work/comparison.csv")
    print(table.to_string())


if __name__ == "__main__":
    main()
