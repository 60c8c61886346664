"""Adds turned and shifted copies of the training images: `python src/augment.py --copies 2 --degrees 10`."""

import argparse
import os

import numpy as np
from scipy.ndimage import rotate, shift


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--copies", type=int, default=2)
    parser.add_argument("--degrees", type=float, default=10.0)
    arguments = parser.parse_args()
    random = np.random.default_rng(int(os.environ.get("MODELWRIGHT_SEED", "7")))

    with np.load("work/train.npz") as train:
        images, labels = train["images"], train["labels"]
    copies = [changed(image, arguments.degrees, random) for _ in range(arguments.copies) for image in images]
    np.savez(
        "work/augmented.npz",
        images=np.concatenate([images, np.array(copies, dtype="float32").reshape(-1, 8, 8)]),
        labels=np.tile(labels, arguments.copies + 1),
    )
    print(f"{len(images)} images and {len(copies)} changed copies")


def changed(image, degrees, random):
    turned = rotate(image, random.uniform(-degrees, degrees), reshape=False, order=1)
    return np.clip(shift(turned, random.uniform(-0.5, 0.5, size=2), order=1), 0, 16)


if __name__ == "__main__":
    main()
