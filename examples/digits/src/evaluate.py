"""Measures a model on the images that were held out, each digit by itself too."""

import os

import mlflow
import numpy as np


def main():
    with np.load("work/test.npz") as test:
        images, labels = test["images"], test["labels"]
    model = mlflow.pyfunc.load_model(os.environ["MODELWRIGHT_MODEL_DIGITS"])
    right = np.asarray(model.predict(images)) == labels
    worst = min(right[labels == digit].mean() for digit in range(10))
    with mlflow.start_run():
        mlflow.log_metrics({"accuracy": right.mean(), "worst_digit": worst, "images": len(images)})
    print(f"accuracy {right.mean():.3f}, the worst digit {worst:.3f}")


if __name__ == "__main__":
    main()
