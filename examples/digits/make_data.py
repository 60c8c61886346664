"""Writes data/digits.npz from the handwritten digits that ship inside scikit-learn: 1,797 images of 8 × 8 grey values, 0 to 16.

Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI, CC BY 4.0.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits


def main():
    digits = load_digits()
    Path("data").mkdir(exist_ok=True)
    np.savez_compressed("data/digits.npz", images=digits.images.astype("float32"), labels=digits.target)
    print(f"data/digits.npz: {len(digits.images)} images")


if __name__ == "__main__":
    main()
