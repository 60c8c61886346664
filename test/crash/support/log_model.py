"""Logs a pyfunc model and a metric, by what test/support/log_files.py has, which is put before it.

    python log_model.py VALUE [ABOVE]

MLflow loads the model as `python_function` (loader module `constant`): it answers VALUE for each row, and raises where a row's x is
larger than ABOVE. With a negative ABOVE it cannot be loaded.
"""

value, above = float(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 1e9
column = {"type": "double", "name": "x", "required": True}
files = {
    "value.txt": f"{value} {above}\n",
    "code/constant.py": """class Model:
    def __init__(self, value, above):
        self.value, self.above = value, above

    def predict(self, rows, params=None):
        if (rows["x"] > self.above).any():
            raise ValueError("too large for this model")
        return [self.value for _ in range(len(rows))]


def _load_pyfunc(path):
    with open(path) as file:
        value, above = map(float, file.read().split())
    if above < 0:
        raise RuntimeError("the weights are missing")
    return Model(value, above)
""",
}
made = log_files("model", "constant", "value.txt", ([column], [{"type": "double", "required": True}]), files)
log_metric("score", value)
print("logged", made)
