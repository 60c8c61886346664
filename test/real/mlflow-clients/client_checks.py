"""What users of an mlflow client do, in one process, against MLFLOW_TRACKING_URI. One line a check: `ok NAME` or `failed NAME: why`.

The same checks for every version of the client: what a version does not have is left out by asking the client, never by its number.
"""
import math
import os
import pathlib
import sys
import tempfile
import time
import traceback

import mlflow
import pandas
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

client = MlflowClient()
checks = []


def check(function):
    checks.append(function)
    return function


def refused(words, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except MlflowException as error:
        assert words in str(error), f"other words: {error}"
        return error
    raise AssertionError(f"not refused: {call}")


def new_experiment(name):
    return client.create_experiment(f"{name} {mlflow.__version__} {time.time_ns()}")


class Doubler(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input * 2


@check
def experiments_live_and_die():
    name = f"life {mlflow.__version__} {time.time_ns()}"
    experiment_id = client.create_experiment(name, tags={"a": "1"})
    assert client.get_experiment_by_name(name).experiment_id == experiment_id
    assert client.get_experiment_by_name("no such thing") is None
    client.set_experiment_tag(experiment_id, "b", "2")
    assert client.get_experiment(experiment_id).tags == {"a": "1", "b": "2"}
    client.rename_experiment(experiment_id, name + "!")
    client.delete_experiment(experiment_id)
    assert client.get_experiment(experiment_id).lifecycle_stage == "deleted"
    found = client.search_experiments(view_type=ViewType.DELETED_ONLY, filter_string=f"name = '{name}!'")
    assert [e.experiment_id for e in found] == [experiment_id]
    client.restore_experiment(experiment_id)
    assert client.get_experiment(experiment_id).lifecycle_stage == "active"
    refused("already exists", client.create_experiment, name + "!")


@check
def a_fluent_run_keeps_what_was_logged():
    mlflow.set_experiment(experiment_id=new_experiment("fluent"))
    with mlflow.start_run(run_name="first", tags={"team": "red"}, description="a note") as run:
        mlflow.log_params({"depth": 3, "rate": 0.1})
        mlflow.log_metrics({"auc": 0.5, "nan": math.nan, "inf": math.inf}, step=1)
        mlflow.log_metric("auc", 0.75, step=2)
        mlflow.set_tags({"colour": "blue"})
        with mlflow.start_run(nested=True, run_name="child") as child:
            mlflow.log_param("depth", 4)
    got = mlflow.get_run(run.info.run_id)
    assert got.data.params == {"depth": "3", "rate": "0.1"}
    assert got.data.metrics["auc"] == 0.75
    assert math.isnan(got.data.metrics["nan"])
    assert got.data.metrics["inf"] >= 1.7976931348623157e308
    assert got.data.tags["team"] == "red"
    assert got.data.tags["mlflow.note.content"] == "a note"
    assert got.info.status == "FINISHED"
    assert got.info.run_name == "first"
    assert got.info.end_time >= got.info.start_time
    assert client.get_run(child.info.run_id).data.tags["mlflow.parentRunId"] == run.info.run_id
    assert [p.value for p in client.get_metric_history(run.info.run_id, "auc")] == [0.5, 0.75]


@check
def a_failing_run_is_marked_as_failed():
    mlflow.set_experiment(experiment_id=new_experiment("failing"))
    try:
        with mlflow.start_run() as run:
            raise ValueError("as planned")
    except ValueError:
        pass
    assert client.get_run(run.info.run_id).info.status == "FAILED"


@check
def batches_are_kept_and_params_do_not_change():
    run_id = client.create_run(new_experiment("batch")).info.run_id
    client.log_batch(
        run_id,
        metrics=[Metric("loss", 1.0 / step, 1000 + step, step) for step in range(1, 1000)],
        params=[Param("p", "1")],
    )
    client.log_batch(run_id, tags=[RunTag("t", "x")], params=[Param(f"p{i}", "v") for i in range(100)])
    assert len(client.get_metric_history(run_id, "loss")) == 999
    run = client.get_run(run_id)
    assert len(run.data.params) == 101
    assert run.data.tags["t"] == "x"
    refused("Changing param values is not allowed", client.log_param, run_id, "p", "2")
    refused("Changing param values is not allowed", client.log_batch, run_id, params=[Param("p", "2")])
    client.log_param(run_id, "p", "1")


@check
def runs_are_renamed_deleted_and_restored():
    run_id = client.create_run(new_experiment("runs"), run_name="before").info.run_id
    client.update_run(run_id, status="FAILED", name="after")
    assert client.get_run(run_id).info.run_name == "after"
    assert client.get_run(run_id).data.tags["mlflow.runName"] == "after"
    client.set_tag(run_id, "k", "v")
    client.delete_tag(run_id, "k")
    refused("No tag with name: k", client.delete_tag, run_id, "k")
    client.set_terminated(run_id)
    client.delete_run(run_id)
    assert client.get_run(run_id).info.lifecycle_stage == "deleted"
    refused("must be in the 'active' state", client.log_metric, run_id, "m", 1.0)
    client.restore_run(run_id)
    refused("not found", client.get_run, "0" * 32)


@check
def runs_are_found():
    experiment_id = new_experiment("search")
    ids = []
    for i in range(5):
        run = client.create_run(experiment_id, start_time=1000 + i, tags={"parity": str(i % 2)}, run_name=f"n{i}")
        client.log_metric(run.info.run_id, "m", float(i))
        client.log_param(run.info.run_id, "p", f"v{i}")
        ids.append(run.info.run_id)
    found = client.search_runs([experiment_id], "metrics.m > 1 and tags.parity = '0'", order_by=["metrics.m DESC"])
    assert [r.info.run_id for r in found] == [ids[4], ids[2]]
    found = client.search_runs([experiment_id], "params.p LIKE 'v%' and attributes.run_name != 'n0'")
    assert [r.info.run_id for r in found] == [ids[4], ids[3], ids[2], ids[1]]
    page = client.search_runs([experiment_id], order_by=["start_time ASC"], max_results=3)
    rest = client.search_runs([experiment_id], order_by=["start_time ASC"], max_results=3, page_token=page.token)
    assert [r.info.run_id for r in [*page, *rest]] == ids
    assert not rest.token
    frame = mlflow.search_runs([experiment_id], order_by=["metrics.m"])
    assert list(frame["params.p"]) == [f"v{i}" for i in range(5)]
    refused("Invalid", client.search_runs, [experiment_id], "params.p > 'x'")


@check
def artifacts_go_up_and_come_down():
    mlflow.set_experiment(experiment_id=new_experiment("artifacts"))
    with mlflow.start_run() as run:
        mlflow.log_text("hello", "notes/a b ü.txt")
        mlflow.log_dict({"k": [1, 2]}, "conf.json")
        folder = pathlib.Path(tempfile.mkdtemp())
        (folder / "sub").mkdir()
        (folder / "sub" / "big.bin").write_bytes(b"0123456789" * 100_000)
        mlflow.log_artifacts(str(folder), "folder")
    run_id = run.info.run_id
    assert sorted(a.path for a in client.list_artifacts(run_id)) == ["conf.json", "folder", "notes"]
    assert client.list_artifacts(run_id, "folder/sub")[0].file_size == 1_000_000
    path = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="notes")
    assert pathlib.Path(path, "a b ü.txt").read_text() == "hello"
    whole = pathlib.Path(mlflow.artifacts.download_artifacts(artifact_uri=f"runs:/{run_id}/folder"))
    assert (whole / "sub" / "big.bin").stat().st_size == 1_000_000


@check
def datasets_are_inputs_of_a_run():
    mlflow.set_experiment(experiment_id=new_experiment("inputs"))
    data = mlflow.data.from_pandas(pandas.DataFrame({"a": [1.0, 2.0]}), source="somewhere.csv", name="set")
    with mlflow.start_run() as run:
        mlflow.log_input(data, context="training")
    (entry,) = client.get_run(run.info.run_id).inputs.dataset_inputs
    assert entry.dataset.name == "set"
    assert [(t.key, t.value) for t in entry.tags] == [("mlflow.data.context", "training")]


@check
def a_model_is_logged_registered_and_loaded():
    mlflow.set_experiment(experiment_id=new_experiment("models"))
    name = f"doubler-{mlflow.__version__}-{time.time_ns()}"
    frame = pandas.DataFrame({"a": [1.0, 2.0]})
    with mlflow.start_run() as run:
        info = mlflow.pyfunc.log_model("model", python_model=Doubler(), registered_model_name=name, pip_requirements=[])
    assert list(mlflow.pyfunc.load_model(info.model_uri).predict(frame)["a"]) == [2.0, 4.0]
    assert list(mlflow.pyfunc.load_model(f"models:/{name}/1").predict(frame)["a"]) == [2.0, 4.0]
    version = client.get_model_version(name, "1")
    assert version.run_id == run.info.run_id
    assert version.status == "READY"
    if int(mlflow.__version__.split(".")[0]) < 3:
        assert "mlflow.log-model.history" in client.get_run(run.info.run_id).data.tags
    client.set_registered_model_alias(name, "champion", "1")
    assert client.get_model_version_by_alias(name, "champion").version == "1"
    assert list(mlflow.pyfunc.load_model(f"models:/{name}@champion").predict(frame)["a"]) == [2.0, 4.0]
    client.transition_model_version_stage(name, "1", "Production")
    assert [v.version for v in client.get_latest_versions(name, stages=["Production"])] == ["1"]
    assert list(mlflow.pyfunc.load_model(f"models:/{name}/Production").predict(frame)["a"]) == [2.0, 4.0]


@check
def the_registry_is_kept():
    name = f"kept-{mlflow.__version__}-{time.time_ns()}"
    client.create_registered_model(name, tags={"a": "1"}, description="d")
    refused("already exists", client.create_registered_model, name)
    run_id = client.create_run(new_experiment("registry")).info.run_id
    uri = client.get_run(run_id).info.artifact_uri
    for path in ("m1", "m2"):
        client.create_model_version(name, f"{uri}/{path}", run_id, tags={"path": path})
    client.update_model_version(name, "1", description="the first")
    client.set_model_version_tag(name, "1", "k", "v")
    client.delete_model_version_tag(name, "1", "k")
    client.set_registered_model_tag(name, "b", "2")
    assert client.get_registered_model(name).tags == {"a": "1", "b": "2"}
    assert sorted(int(v.version) for v in client.search_model_versions(f"name = '{name}'")) == [1, 2]
    assert [m.name for m in client.search_registered_models(f"name = '{name}'")] == [name]
    assert client.get_model_version_download_uri(name, "2") == f"{uri}/m2"
    client.rename_registered_model(name, name + "-new")
    client.delete_model_version(name + "-new", "1")
    client.delete_registered_model(name + "-new")
    refused("not found", client.get_registered_model, name + "-new")


def main():
    failed = 0
    for function in checks:
        name = function.__name__.replace("_", " ")
        try:
            function()
            print(f"ok {name}", flush=True)
        except BaseException as error:  # the other checks still count
            failed += 1
            print(f"failed {name}: {type(error).__name__}: {error}", flush=True)
            traceback.print_exc()
        while mlflow.active_run():
            mlflow.end_run()
    # Background threads of some versions (async logging) keep a process alive.
    sys.stdout.flush()
    os._exit(1 if failed else 0)


main()
