"""MLflow's habits inside a step: whatever the script does, its tracking stays with the step.

- The first `start_run()` is the step's run (MLflow's own MLFLOW_RUN_ID); later ones are new runs below it.
- `set_experiment` to another name keeps the step's experiment, and the wish is recorded on the run.
- Ending the step's run does not set its status: how the step ended is for Modelwright to say.
- `set_tracking_uri` to another server is obeyed, with a warning; our token and ids stay behind.
"""

import functools
import os
import sys
from urllib.parse import urlsplit

RUN = os.environ["MODELWRIGHT_RUN_ID"]
HOME = os.environ.get("MODELWRIGHT_TRACKING_URI", "")
REQUESTED = "modelwright.requested_experiment"
# Read by MLflow's client; they belong to the step's server and must not reach another one.
OURS = ("MLFLOW_RUN_ID", "MLFLOW_TRACKING_TOKEN", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME")

_set_aside = {}
_said = set()
_step_experiment = None


def patch_fluent(fluent):
    _wrap(fluent, "start_run", _start_run)
    _wrap(fluent, "set_experiment", _set_experiment)


def patch_client(client):
    _wrap(client.TrackingServiceClient, "set_terminated", _set_terminated)


def patch_uri(utils):
    _wrap(utils, "set_tracking_uri", _set_tracking_uri)


def _wrap(owner, name, around):
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*args, **kwargs):
        return around(original, *args, **kwargs)

    setattr(owner, name, wrapped)


def _start_run(original, run_id=None, experiment_id=None, *args, **kwargs):
    import mlflow
    from mlflow.tracking import fluent

    if not _at_home(mlflow.get_tracking_uri()) or run_id is not None:
        return original(run_id, experiment_id, *args, **kwargs)
    step = _experiment_of_step()
    if experiment_id is not None and str(experiment_id) != step:
        _note_experiment(_experiment_name(experiment_id))
    if os.environ.get("MLFLOW_RUN_ID"):
        return _resume(original, fluent, *args, **kwargs)
    # MLflow itself links a run to the one that is active; a run after the step's run has ended is linked here.
    if len(args) < 3 and kwargs.get("parent_run_id") is None and mlflow.active_run() is None:
        kwargs["parent_run_id"] = RUN
    return original(None, step, *args, **kwargs)


def _resume(original, fluent, *args, **kwargs):
    # An experiment that was active before (set in another server's time, or by an import) would make MLflow refuse.
    active = fluent._active_experiment_id
    if active is not None and active != _experiment_of_step():
        fluent._active_experiment_id = _experiment_of_step()
    return original(None, None, *args, **kwargs)


def _set_experiment(original, experiment_name=None, experiment_id=None, *args, **kwargs):
    import mlflow

    unclear = (experiment_name is None) == (experiment_id is None)
    if unclear or not _at_home(mlflow.get_tracking_uri()):
        return original(experiment_name, experiment_id, *args, **kwargs)
    step = _experiment_of_step()
    if experiment_id is not None:
        requested = None if str(experiment_id) == step else _experiment_name(experiment_id)
    else:
        requested = None if experiment_name == _experiment_name(step) else experiment_name
    if requested is not None:
        _note_experiment(requested)
    return original(None, step, *args, **kwargs)


def _set_terminated(original, self, run_id, *args, **kwargs):
    if run_id != RUN or not _at_home(self.tracking_uri):
        return original(self, run_id, *args, **kwargs)
    # What MLflow does before it sets the status: nothing that was logged may be lost.
    self.store.shut_down_async_logging()


def _set_tracking_uri(original, uri):
    if _at_home(uri):
        os.environ.update(_set_aside)
        _set_aside.clear()
    else:
        for name in OURS:
            if name in os.environ:
                _set_aside[name] = os.environ.pop(name)
        _say(
            f"set_tracking_uri({_without_secrets(uri)!r}) leaves Modelwright: what is logged from here on is not part of this step's run."
        )
    return original(uri)


def _at_home(uri):
    return _normal(uri) == _normal(HOME)


def _normal(uri):
    uri = str(uri or "").rstrip("/")
    for alias in ("//localhost:", "//[::1]:", "//0.0.0.0:"):
        uri = uri.replace(alias, "//127.0.0.1:")
    return uri


def _without_secrets(uri):
    host = urlsplit(str(uri)).netloc
    return str(uri).replace(host, host.rpartition("@")[2], 1) if "@" in host else str(uri)


def _experiment_of_step():
    global _step_experiment
    if _step_experiment is None:
        _step_experiment = _client().get_run(RUN).info.experiment_id
    return _step_experiment


def _experiment_name(experiment_id):
    try:
        return _client().get_experiment(str(experiment_id)).name
    except Exception:
        return str(experiment_id)


def _note_experiment(requested):
    _client().set_tag(RUN, REQUESTED, requested)
    _say(
        f"this step keeps its own experiment; {requested!r} is recorded on its run as the tag {REQUESTED}."
    )


def _client():
    from mlflow import MlflowClient

    return MlflowClient(HOME)


def _say(text):
    if text not in _said:
        _said.add(text)
        print(f"modelwright: {text}", file=sys.stderr)
