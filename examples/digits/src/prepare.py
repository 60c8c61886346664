"""Splits the images into those to train on and those to test on."""

import hashlib
import os
from pathlib import Path

import numpy as np

TEST_SHARE = 0.3


def main():
    with np.load(os.environ.get("MODELWRIGHT_DATA_DIGITS", "data/digits.npz")) as data:
        images, labels = data["images"], data["labels"]
    # An image has no key of its own: its content is its key, so that no copy of a test image is trained on.
    test = np.array([hash_share(image) < TEST_SHARE for image in images])

    Path("work").mkdir(exist_ok=True)
    np.savez("work/train.npz", images=images[~test], labels=labels[~test])
    np.savez("work/test.npz", images=images[test], labels=labels[test])
    print(f"{(~test).sum()} images to train on, {test.sum()} to test on")


def hash_share(image):
    """The image's fixed place in [0, 1)."""
    return int(hashlib.sha256(image.tobytes()).hexdigest()[:8], 16) / 2**32


if __name__ == "__main__":
    main()
