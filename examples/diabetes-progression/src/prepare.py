"""Splits the patients into rows to train on and rows to test on."""

import hashlib
import os
from pathlib import Path

import pandas as pd

from columns import KEY

TEST_SHARE = 0.3


def main():
    patients = pd.read_csv(os.environ.get("MODELWRIGHT_DATA_PATIENTS", "data/patients.csv"))
    test = patients[KEY].map(hash_share) < TEST_SHARE

    Path("work").mkdir(exist_ok=True)
    patients[~test].to_csv("work/train.csv", index=False)
    patients[test].to_csv("work/test.csv", index=False)
    print(f"{(~test).sum()} patients to train on, {test.sum()} to test on")


def hash_share(key):
    """The key's fixed place in [0, 1)."""
    return int(hashlib.sha256(str(key).encode()).hexdigest()[:8], 16) / 2**32


if __name__ == "__main__":
    main()
