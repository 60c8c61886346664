"""Makes pyfunc models that load slowly: python make_models.py FOLDER '[{"answer": "v0", "loadSeconds": 2, "log": "..."}, ...]'"""

import json
import os
import sys

import mlflow.pyfunc

folder, settings = sys.argv[1], json.loads(sys.argv[2])
here = os.path.dirname(os.path.abspath(__file__))
for setting in settings:
    path = os.path.join(folder, setting["answer"] + ".json")
    with open(path, "w") as file:
        json.dump(setting, file)
    mlflow.pyfunc.save_model(
        os.path.join(folder, setting["answer"]),
        python_model=os.path.join(here, "slow_model.py"),
        artifacts={"setting": path},
        pip_requirements=[],
    )
