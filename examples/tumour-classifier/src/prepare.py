"""Splits the biopsies into rows to train on and rows to test on."""

import hashlib
import os
from pathlib import Path

import pandas as pd

TEST_SHARE = 0.3


def main():
    # Modelwright says where the data is: rows that production saw and that were labelled since are in it already.
    biopsies = pd.read_csv(os.environ.get("MODELWRIGHT_DATA_BIOPSIES", "data/biopsies.csv"))
    test = biopsies["sample_id"].map(hash_share) < TEST_SHARE

    Path("work").mkdir(exist_ok=True)
    biopsies[~test].to_csv("work/train.csv", index=False)
    biopsies[test].to_csv("work/test.csv", index=False)
    print(f"{(~test).sum()} biopsies to train on, {test.sum()} to test on")


def hash_share(key):
    """The key's fixed place in [0, 1): a row that tests today never becomes a row to train on, however the data grows."""
    return int(hashlib.sha256(str(key).encode()).hexdigest()[:8], 16) / 2**32


if __name__ == "__main__":
    main()
