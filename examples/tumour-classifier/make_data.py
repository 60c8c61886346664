"""Writes data/biopsies.csv from the breast-cancer data that ships inside scikit-learn (569 real biopsies, UCI WDBC).

    python make_data.py                           data/biopsies.csv: what we have when the story begins
    python make_data.py --production production   and the rows that come later, as CSV files in that folder

The story begins with biopsies whose images have a smooth texture. Kept back as what production sees later:

    usual.csv    more of the same kind, never trained on
    coarse.csv   a kind of biopsy that the first models have not seen: coarse texture
    mixed.csv    both kinds, as they come once the coarse ones have become normal

Every row is a real biopsy and lands in exactly one of biopsies.csv, usual.csv and coarse.csv, or in mixed.csv, which repeats
usual.csv beside coarse rows of its own.
"""

import argparse
import hashlib
from pathlib import Path

import pandas as pd
from sklearn.datasets import load_breast_cancer

# Standard deviation of the image's grey values: just below the median of all biopsies.
COARSE_TEXTURE = 18.5
HELD_BACK = 0.3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--production", type=Path, metavar="FOLDER", help="where to write the rows that come later")
    arguments = parser.parse_args()

    biopsies = load_biopsies()
    coarse = biopsies["mean_texture"] > COARSE_TEXTURE
    held_back = biopsies["sample_id"].map(lambda key: hash_share(key, "hold")) < HELD_BACK

    write(biopsies[~coarse & ~held_back], Path("data/biopsies.csv"))
    if arguments.production:
        usual = biopsies[~coarse & held_back]
        write(usual, arguments.production / "usual.csv")
        write(biopsies[coarse & ~held_back], arguments.production / "coarse.csv")
        write(pd.concat([usual, biopsies[coarse & held_back]]).sort_index(), arguments.production / "mixed.csv")


def load_biopsies():
    """The ten mean measurements of each biopsy, with an id and the diagnosis as a word."""
    loaded = load_breast_cancer(as_frame=True)
    table = loaded.data.filter(like="mean ").rename(columns=lambda name: name.replace(" ", "_"))
    table.insert(0, "sample_id", [f"B{number:04d}" for number in range(1, len(table) + 1)])
    table["diagnosis"] = [loaded.target_names[code] for code in loaded.target]
    return table


def hash_share(key, salt=""):
    return int(hashlib.sha256((salt + key).encode()).hexdigest()[:8], 16) / 2**32


def write(table, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)
    print(f"{path}: {len(table)} biopsies, {(table['diagnosis'] == 'malignant').mean():.0%} malignant")


if __name__ == "__main__":
    main()
