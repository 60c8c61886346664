"""Real sources of MLflow's own stores, and everything that its real client says of one, as plain values."""
import hashlib
import os
import tempfile

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput, LoggedModelOutput, ViewType


def client_of(uri):
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def fill(uri, artifact_root=None):
    """A bit of everything that an import must keep."""
    client = client_of(uri)
    place = None if artifact_root is None else f"{artifact_root}/churn"
    churn = client.create_experiment("churn ü", artifact_location=place, tags={"team": "red", "note/long": "x" * 6000})
    first = client.create_run(churn, run_name="first", start_time=1_700_000_000_123, tags={"colour": "blue"}).info.run_id
    client.log_param(first, "depth", "3")
    client.log_param(first, "nested/param", "several\nlines ü '\"; drop table runs")
    for step, value, time in [(0, 0.5, 1000), (1, float("nan"), 1001), (2, float("inf"), 1002), (2, 0.25, 1002), (2, 0.25, 999)]:
        client.log_metric(first, "loss", value, timestamp=time, step=step)
    client.log_metric(first, "loss", 0.5, timestamp=1000, step=0)
    client.log_metric(first, "nan", float("nan"), timestamp=7, step=0)
    client.log_metric(first, "folder/ninf", float("-inf"), timestamp=7, step=-5)
    client.log_text(first, "grüße", "ordner/ünï code.txt")
    client.log_text(first, "{}", "a.json")
    client.log_text(first, "", "empty.txt")
    data = Dataset("iris", "d1", "local", '{"a": 1}', '{"s": 1}', '{"p": 2}')
    client.log_inputs(first, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])
    model = client.create_logged_model(churn, name="clf", source_run_id=first, tags={"k": "v"}, params={"p": "1"}, model_type="sk")
    # MLflow reads such a point's step as 0 from a file, whatever was logged.
    client.log_metric(first, "auc", 0.9, timestamp=5, step=0, model_id=model.model_id, dataset_name="iris", dataset_digest="d1")
    client.log_outputs(first, [LoggedModelOutput(model.model_id, 3)])
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "MLmodel"), "w") as file:
            file.write("flavors: {}\n")
        client.log_model_artifacts(model.model_id, folder)
    client.finalize_logged_model(model.model_id, "READY")
    child = client.create_run(churn, run_name="child", tags={"mlflow.parentRunId": first}).info.run_id
    client.log_inputs(child, None, [LoggedModelInput(model.model_id)])
    client.set_terminated(first, "FINISHED", end_time=1_700_000_009_999)
    client.set_terminated(child, "FAILED")
    client.delete_run(client.create_run(churn, run_name="deleted run").info.run_id)
    client.create_run(client.create_experiment("empty of artifacts"), run_name="still running")
    gone = client.create_experiment("gone")
    client.create_run(gone, run_name="gone with it")
    client.delete_experiment(gone)
    client.log_metric(client.create_run("0", run_name="in Default").info.run_id, "m", 1.5, timestamp=1, step=0)

    client.create_registered_model("clf", tags={"a": "b"}, description="of the registry")
    client.create_model_version("clf", f"models:/{model.model_id}", model_id=model.model_id, tags={"t": "u"}, description="one")
    client.create_model_version("clf", f"runs:/{first}/ordner", run_id=first)
    client.create_model_version("clf", client.get_run(first).info.artifact_uri + "/ordner", run_id=first)
    client.create_model_version("clf", f"runs:/{first}/ordner", run_id=first)
    client.delete_model_version("clf", "2")
    client.delete_model_version("clf", "4")
    client.set_registered_model_alias("clf", "best", "1")
    client.set_registered_model_alias("clf", "also", "1")
    client.set_registered_model_alias("clf", "next", "3")
    client.transition_model_version_stage("clf", "3", "Staging")
    mlflow.genai.register_prompt("greet", "Hello {{ name }}")
    return {"first": first, "child": child, "model": model.model_id}


def of_many(uri):
    """Params, metrics and tags of all runs of the experiment `many`; histories and files of some."""
    client = client_of(uri)
    experiment = client.get_experiment_by_name("many").experiment_id
    runs = {run.info.run_id: run for run in pages(lambda token: client.search_runs([experiment], page_token=token))}
    some = sorted(runs)[::40]
    return {
        "runs": {key: [run.info.run_name, run.info.status, run.info.end_time, run.data.params, run.data.metrics, run.data.tags] for key, run in runs.items()},
        "some": {key: [history(client, key, "m"), files(client, key)] for key in some},
    }


def everything(uri):
    """What the client reads of all of it. Experiments go by name: their ids may be others."""
    client = client_of(uri)
    experiments = pages(lambda token: client.search_experiments(view_type=ViewType.ALL, page_token=token))
    names = {one.experiment_id: one.name for one in experiments}
    runs = {}
    models = {}
    for one in experiments:
        for run in pages(lambda token: client.search_runs([one.experiment_id], run_view_type=ViewType.ALL, page_token=token)):
            # A search of MLflow's database leaves out the models that a run read.
            runs[run.info.run_id] = of_run(client, client.get_run(run.info.run_id), names)
        if one.lifecycle_stage == "active":
            for model in client.search_logged_models([one.experiment_id]):
                models[model.model_id] = of_model(model, names)
    return {
        "experiments": {one.name: [one.lifecycle_stage, one.tags] for one in experiments},
        "runs": runs,
        "loggedModels": models,
        "registered": registered(client),
    }


def of_run(client, run, names):
    info = run.info
    return {
        "info": [names[info.experiment_id], info.run_name, info.status, info.start_time, info.end_time, info.lifecycle_stage],
        "params": run.data.params,
        "tags": {k: v for k, v in run.data.tags.items() if k != "mlflow.user"},
        "latest": {key: number(value) for key, value in run.data.metrics.items()},
        "history": {key: history(client, info.run_id, key) for key in run.data.metrics},
        "inputs": sorted(
            [vars(one.dataset) | {"tags": {tag.key: tag.value for tag in one.tags}} for one in run.inputs.dataset_inputs],
            key=lambda one: one["_name"],
        ),
        "models": [
            sorted(one.model_id for one in run.inputs.model_inputs),
            sorted([one.model_id, one.step] for one in run.outputs.model_outputs),
        ],
        "files": files(client, info.run_id),
    }


def history(client, run_id, key):
    points = [[point.step, point.timestamp, number(point.value)] for point in client.get_metric_history(run_id, key)]
    # A file holds a point as often as it was logged, a database once.
    return sorted([list(point) for point in {tuple(point) for point in points}], key=str)


def files(client, run_id, path=None):
    found = {}
    for entry in client.list_artifacts(run_id, path):
        if entry.is_dir:
            found |= files(client, run_id, entry.path)
        else:
            with tempfile.TemporaryDirectory() as folder:
                local = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=entry.path, dst_path=folder)
                with open(local, "rb") as file:
                    found[entry.path] = hashlib.sha256(file.read()).hexdigest()
    return found


def of_model(model, names):
    with tempfile.TemporaryDirectory() as folder:
        local = mlflow.artifacts.download_artifacts(f"models:/{model.model_id}", dst_path=folder)
        content = sorted(os.listdir(local))
    return {
        "info": [names[model.experiment_id], model.name, str(model.status), model.model_type, model.source_run_id, model.creation_timestamp],
        "params": model.params,
        "tags": {k: v for k, v in model.tags.items() if k != "mlflow.modelVersions"},
        "metrics": sorted([m.key, number(m.value), m.timestamp, m.step, m.run_id, m.dataset_name, m.dataset_digest] for m in model.metrics or []),
        "files": content,
    }


def registered(client):
    found = {}
    names = {model.name for model in client.search_registered_models()} | {"greet"}
    # The client itself hides prompts among the models.
    store = client._get_registry_client().store
    for model in [store.get_registered_model(name) for name in sorted(names)]:
        versions = {}
        for version in client.search_model_versions(f"name='{model.name}'") + client.search_model_versions(
            f"name='{model.name}' AND tag.`mlflow.prompt.is_prompt` = 'true'"
        ):
            one = store.get_model_version(model.name, version.version)
            versions[str(one.version)] = [
                one.creation_timestamp, one.description or "", one.current_stage, one.run_id or "", one.status, one.tags, sorted(one.aliases),
            ]
        found[model.name] = [model.creation_timestamp, model.description or "", model.tags, {k: str(v) for k, v in model.aliases.items()}, versions]
    return found


def pages(ask):
    items, token = [], None
    while True:
        page = ask(token)
        items += page
        token = page.token
        if not token:
            return items


def number(value):
    """Files keep an infinity, databases the largest double of its sign."""
    if value in (float("inf"), float("-inf")):
        return 1.7976931348623157e308 if value > 0 else -1.7976931348623157e308
    return "nan" if value != value else value


def model_bytes(uri, model_uri):
    client_of(uri)
    with tempfile.TemporaryDirectory() as folder:
        local = mlflow.artifacts.download_artifacts(model_uri, dst_path=folder)
        # `registered_model_meta` is the client's own note.
        return sorted(name for name in os.listdir(local) if name != "registered_model_meta")


def many_runs(uri, count, points):
    """Quickly: enough that an import can be killed in the middle of it."""
    client = client_of(uri)
    experiment = client.create_experiment("many")
    from mlflow.entities import Metric, Param

    for index in range(count):
        run = client.create_run(experiment, run_name=f"run {index}").info.run_id
        client.log_batch(run, [Metric("m", i / 7, 1000 + i, i) for i in range(points)], [Param("p", str(index))])
        client.log_text(run, f"text {index}", "folder/file.txt")
        client.set_terminated(run)
