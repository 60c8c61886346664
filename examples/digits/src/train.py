"""Trains a small neural network on work/augmented.npz and logs it to MLflow; it takes images, not tables."""

import argparse
import os

import mlflow
import numpy as np
from mlflow.models import infer_signature
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import pixels


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=100, help="passes through the training images")
    arguments = parser.parse_args()

    with np.load("work/augmented.npz") as train:
        images, labels = train["images"], train["labels"]
    network = MLPClassifier(
        hidden_layer_sizes=(arguments.hidden,),
        max_iter=arguments.rounds,
        early_stopping=False,
        random_state=int(os.environ.get("MODELWRIGHT_SEED", "7")),
    )
    with mlflow.start_run():
        mlflow.log_params({"hidden": arguments.hidden, "rounds": arguments.rounds, "images": len(images)})
        model = make_pipeline(FunctionTransformer(pixels.flat), network).fit(images, labels)
        for step, loss in enumerate(network.loss_curve_):
            mlflow.log_metric("training_loss", loss, step=step)
        mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(images[:3], model.predict(images[:3])),
            input_example=images[:3],
            serialization_format="cloudpickle",
            # The model's own code goes with it: whoever loads the model has pixels.py.
            code_paths=["src/pixels.py"],
            pip_requirements="requirements.txt",
        )
    print(f"accuracy {model.score(images, labels):.3f} on the training images")


if __name__ == "__main__":
    main()
