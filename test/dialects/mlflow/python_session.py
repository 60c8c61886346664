"""Runs the pieces of Python that come in, one JSON document a line, in one process: importing mlflow and scikit-learn takes seconds."""
import contextlib
import json
import math
import os
import sys
import traceback

answers = os.fdopen(os.dup(1), "w")
# What the code under test prints must not mix with the answers.
os.dup2(2, 1)
space: dict = {}


def plain(value):
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    return str(value)


for line in sys.stdin:
    request = json.loads(line)
    space["result"] = None
    os.environ.update(request.get("env", {}))
    try:
        exec(compile(request["code"], "<test>", "exec"), space)
        answer = {"ok": True, "result": plain(space["result"])}
    except BaseException as error:  # the process must outlive whatever a test does
        answer = {
            "ok": False,
            "error": f"{type(error).__name__}: {error}",
            "errorCode": getattr(error, "error_code", None),
            "trace": traceback.format_exc(),
        }
    with contextlib.suppress(BrokenPipeError):
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
