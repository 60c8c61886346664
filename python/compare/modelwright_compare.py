"""Asks two models the same rows and says how far their answers lie apart.

    python modelwright_compare.py RECORDED REBUILT ANSWER TOLERANCE

The rows are those of the recorded model's input example. The answer is a JSON file.
"""

import json
import math
import sys


def main(recorded, rebuilt, answer, tolerance):
    with open(answer, "w") as file:
        json.dump(compared(recorded, rebuilt, float(tolerance)), file)


def compared(recorded, rebuilt, tolerance):
    import mlflow
    from mlflow.models import Model

    rows = Model.load(recorded).load_input_example(recorded)
    if rows is None:
        return {"compared": False, "reason": "the model was logged without an input example"}
    a, b = (list(leaves(mlflow.pyfunc.load_model(path).predict(rows))) for path in (recorded, rebuilt))
    found = {"compared": True, "rows": len(rows) if hasattr(rows, "__len__") else 1, "equal": len(a) == len(b)}
    distances = []
    for x, y in zip(a, b):
        if isinstance(x, (int, float)) and isinstance(y, (int, float)):
            if x == y or (math.isnan(x) and math.isnan(y)):
                continue
            distances.append(abs(x - y))
            found["equal"] = found["equal"] and abs(x - y) <= tolerance * max(1, abs(x), abs(y))
        else:
            found["equal"] = found["equal"] and x == y
    if distances and all(math.isfinite(distance) for distance in distances):
        found["largest"] = max(distances)
    return found


def leaves(value):
    """Every number and text of an answer, in its order: tables, arrays, lists and mappings alike."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        value = {str(name): value[name].tolist() for name in value.columns}
    elif hasattr(value, "toarray"):
        value = value.toarray().tolist()
    elif hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        for name in sorted(value, key=str):
            yield str(name)
            yield from leaves(value[name])
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, (int, float)):
        yield value
    else:
        yield str(value)


if __name__ == "__main__":
    main(*sys.argv[1:5])
