"""Answers predictions for one MLflow model, inside the model's own Python environment.

    python modelwright_worker.py MODEL_FOLDER [--network]

The gateway talks to it through stdin and stdout in frames: 4 bytes length of what follows, 4 bytes length of the header
(both big endian), the header as JSON, then a body of bytes. One request is carried out at a time, in order.

    in    {"op": "predict", "id": 7, "form": "json" | "csv" | "parquet", "drop": ["column", ...]}   body: the client's own bytes
          {"op": "predict", "id": 7, "form": "numbers", "shape": [64, 30], "columns"?, "params"?}    body: doubles, for a tensor of floats or columns of doubles
          {"op": "infer", "id": 7, "layout": "columns" | "matrix" | "tensors" | "one" | "free", "parameters": {...},
           "inputs": [{"name", "datatype", "shape", "length", "parameters"?}, ...],
           "scores": true?}  for an explanation: probabilities where the model has them            body: the tensors' bytes in a row
    out   {"op": "apart", "pid": 4711}                                                    at once, where another process goes on: its number outside
          {"op": "apart", "lacks": "it may ..."}                                          before or instead of it: what the machine does not keep from the model
          {"op": "ready", "warmed": true, "mlflow": "3.1.0"}                              once, when loaded and warmed
          {"op": "failed", "stage": "load" | "warm", "message": "..."}                    instead of it; the process ends
          {"op": "answer", "id": 7, "ok": true}                                           body: {"predictions": ...}
          {"op": "answer", "id": 7, "ok": true, "outputs": [{"name", "datatype", "shape", "length"}]}   body: the tensors' bytes
          {"op": "answer", "id": 7, "ok": false, "kind": "request" | "schema" | "model", "message": "...",
           "status": 400, "code": "BAD_REQUEST"}                                          the latter two where MLflow says so

Needs nothing but mlflow and what the model needs. Ends when stdin ends, so it never outlives its gateway.
"""

import base64
import datetime
import io
import json
import math
import os
import select
import struct
import sys
import threading
import traceback

import modelwright_apart
import modelwright_tensors

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
LLM_FORMS = ("messages", "prompt", "input")


class BadRequest(Exception):
    """The request has not one of the forms of MLflow's protocol."""


def main():
    requests, answers = take_over_pipes()
    modelwright_apart.stand_apart(network="--network" in sys.argv[2:], tell=lambda **told: write_frame(answers, {"op": "apart", **told}))
    # A thread, so that the end of stdin ends the process even while the model loads or computes. It reads nothing: handing each request
    # from thread to thread would cost as much as a small model.
    threading.Thread(target=die_at_end, args=(requests.fileno(),), daemon=True).start()
    model = load_and_warm(sys.argv[1], answers)
    while True:
        header, body = read_frame(requests)
        reply, text = answer(model, header, body)
        write_frame(answers, reply, text)


def take_over_pipes():
    """Keeps the two pipes for frames; whatever else reads fd 0 or prints to fd 1 meets /dev/null and stderr."""
    requests = os.fdopen(os.dup(0), "rb", buffering=1 << 16)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, answers


def die_at_end(requests):
    """Waits until the gateway closes its side of stdin; what is still unread nobody waits for."""
    closing = select.poll()
    # Of a socket, as Node gives it, the half-close is told by RDHUP; of a pipe by HUP, which is told unasked.
    closing.register(requests, getattr(select, "POLLRDHUP", 0))
    while not closing.poll():
        pass
    os._exit(0)


def read_frame(requests):
    head = requests.read(8)
    if len(head) < 8:
        os._exit(0)
    total, header_length = struct.unpack(">II", head)
    payload = requests.read(total - 4)
    if len(payload) < total - 4:
        os._exit(0)
    return json.loads(payload[:header_length]), payload[header_length:]


def write_frame(answers, header, body=b""):
    head = json.dumps(header).encode()
    frame = struct.pack(">II", 4 + len(head) + len(body), len(head)) + head + body
    view = memoryview(frame)
    try:
        while view:
            view = view[answers.write(view) :]
    except BrokenPipeError:
        os._exit(0)


def load_and_warm(folder, answers):
    stage = "load"
    try:
        # Code that was saved with the model may share a name with this file's folder.
        sys.path[:] = [entry for entry in sys.path if entry != os.path.dirname(os.path.abspath(__file__))]
        import mlflow
        import mlflow.pyfunc

        model = mlflow.pyfunc.load_model(folder)
        stage = "warm"
        warmed = warm(model, folder)
        write_frame(answers, {"op": "ready", "warmed": warmed, "mlflow": mlflow.__version__})
        return model
    except BaseException as error:
        traceback.print_exc()
        write_frame(answers, {"op": "failed", "stage": stage, "message": told(error)})
        sys.stderr.flush()
        os._exit(3)


def warm(model, folder):
    """One prediction of the model's own input example, so that the first user does not pay for lazy imports."""
    if not getattr(model.metadata, "saved_input_example_info", None):
        return False
    example = model.metadata.load_input_example(folder)
    if example is None:
        return False
    load_params = getattr(model.metadata, "load_input_example_params", None)
    params = load_params(folder) if load_params else None
    encode(model.predict(example, params=params) if params else model.predict(example))
    return True


def answer(model, header, body):
    reply = {"op": "answer", "id": header["id"], "ok": False}
    try:
        if header["op"] == "infer":
            data, params, write = modelwright_tensors.read_infer(model, header, body, plain_one)
        else:
            data, params, write = parse(model, header, body)
    except BadRequest as error:
        return {**reply, "kind": "request", "message": str(error)}, b""
    except Exception as error:
        return {**reply, **refusal(error), "kind": "schema"}, b""
    try:
        predicted = scores(model, data) if header.get("scores") else None
        more, answered = write(call(model, data, params) if predicted is None else predicted)
        return {**reply, "ok": True, **more}, answered
    except Exception as error:
        refused = refusal(error)
        if refused["kind"] == "model":
            traceback.print_exc()
        return {**reply, **refused}, b""


def call(model, data, params):
    import inspect

    # Models that MLflow of before 2.8 saved with a class of its own may not know params.
    if params and "params" in inspect.signature(model.predict).parameters:
        return model.predict(data, params=params)
    return model.predict(data)


def scores(model, data):
    """A label cannot be explained, the probability of each class can: as a table of them; None where the model has none."""
    import pandas

    raw = getattr(model, "get_raw_model", lambda: None)()
    has_them = hasattr(raw, "predict_proba") and hasattr(raw, "classes_") and not isinstance(raw.classes_, list)
    if not has_them or isinstance(data, dict):
        return None
    found = raw.predict_proba(data)
    return pandas.DataFrame(found, columns=["probability_%s" % one for one in raw.classes_])


def refusal(error):
    """MLflow names by its codes who is to blame: it checks the signature inside predict()."""
    code = getattr(error, "error_code", None)
    kind = "schema" if code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST") else "model"
    told_by_mlflow = {"status": error.get_http_status_code(), "code": code} if hasattr(error, "get_http_status_code") else {}
    return {"kind": kind, "message": told(error), **told_by_mlflow}


def parse(model, header, body):
    """The client's bytes -> what model.predict takes, by MLflow's own functions, so that types are cast as it casts them."""
    drop = header.get("drop") or []
    if header["form"] == "numbers":
        return parse_numbers(model, header, body), header.get("params"), in_predictions
    if header["form"] == "csv":
        return parse_csv(model, drop, body), None, in_predictions
    if header["form"] == "parquet":
        return parse_parquet(drop, body), None, in_predictions
    try:
        written = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest("The body is not valid JSON: %s" % (error or "it nests too deeply")) from error
    if not isinstance(written, dict):
        raise BadRequest("The body must be a JSON object with exactly one of %s." % ", ".join(FORMS))
    if any(key in written for key in LLM_FORMS):
        data, params = split_llm(model, written)
        return data, params, bare
    keys = [key for key in FORMS if key in written]
    if len(keys) != 1:
        raise BadRequest("The body must hold exactly one of %s; found: %s." % (", ".join(FORMS), ", ".join(written) or "none"))
    form, params = keys[0], written.get("params")
    if params is not None and not isinstance(params, dict):
        raise BadRequest("params must be an object.")
    return without(parse_form(model, form, written[form]), drop), params, in_predictions


def split_llm(model, written):
    """Chat, completion and embedding requests go to the model as they are, but for the params that its signature names."""
    schema = getattr(model.metadata, "get_params_schema", lambda: None)()
    names = {param.name for param in schema.params} if schema else set()
    return (
        {name: value for name, value in written.items() if name not in names},
        {name: value for name, value in written.items() if name in names},
    )


def in_predictions(predicted):
    return {}, encode(predicted)


def bare(predicted):
    return {}, encode(predicted, wrapped=False)


def parse_form(model, form, data):
    from mlflow.exceptions import MlflowException
    from mlflow.utils.proto_json_utils import dataframe_from_parsed_json, parse_tf_serving_input

    from_type_hint = getattr(model.metadata, "_is_signature_from_type_hint", None)
    if from_type_hint and from_type_hint():
        if form != "inputs":
            raise MlflowException.invalid_parameter_value("The model's type hints say what it takes, as \"inputs\"; found: \"%s\"." % form)
        return data
    schema = model.metadata.get_input_schema()
    if form.startswith("dataframe_"):
        return dataframe_from_parsed_json(data, pandas_orient=form[len("dataframe_") :], schema=schema)
    return parse_tf_serving_input({form: data}, schema=schema)


def parse_numbers(model, header, body):
    """As MLflow makes them of lists of lists and of tables. A copy: a model may write into its input."""
    import numpy
    import pandas

    block = numpy.frombuffer(body, "<f8").reshape(header["shape"])
    if "columns" in header:
        return pandas.DataFrame(block, columns=header["columns"], copy=True)
    return block.astype(model.metadata.get_input_schema().inputs[0].type)


def parse_csv(model, drop, body):
    import pandas

    schema = model.metadata.get_input_schema()
    dtypes = dict(zip(schema.input_names(), schema.pandas_types())) if schema and schema.has_input_names() else None
    try:
        table = pandas.read_csv(io.BytesIO(body), dtype=dtypes)
    except Exception as error:
        raise BadRequest("The body cannot be read as CSV with a header line: %s" % error) from error
    return without(table, drop)


def parse_parquet(drop, body):
    import pandas

    try:
        table = pandas.read_parquet(io.BytesIO(body))
    except Exception as error:
        raise BadRequest("The body cannot be read as Parquet: %s" % error) from error
    return without(table, drop)


def without(data, columns):
    if not columns:
        return data
    if isinstance(data, dict):
        return {name: values for name, values in data.items() if name not in columns}
    if hasattr(data, "drop") and hasattr(data, "columns"):
        return data.drop(columns=[name for name in columns if name in data.columns])
    return data


def encode(predicted, wrapped=True):
    predictions = plain(predicted)
    answered = {"predictions": predictions} if wrapped else predictions
    try:
        text = json.dumps(answered, allow_nan=False, ensure_ascii=False, default=plain_one)
    except ValueError:
        # JSON knows neither NaN nor infinity: both are told as null.
        text = json.dumps(finite(answered), allow_nan=False, ensure_ascii=False)
    return text.encode("utf-8", "replace")


def plain(value):
    """As MLflow's scoring server does: arrays become lists, tables lists of records, a series a table of one column."""
    if hasattr(value, "to_frame") and hasattr(value, "index") and not hasattr(value, "columns"):
        value = value.to_frame()
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return value.to_dict(orient="records")
    if hasattr(value, "toarray"):  # scipy's sparse matrices
        return value.toarray().tolist()
    return value.tolist() if hasattr(value, "tolist") else value


def plain_one(value):
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat() if value == value else None
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    converted = plain(value)
    if converted is not value:
        return converted
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if hasattr(value, "model_dump"):
        return value.model_dump()
    try:
        return float(value)
    except Exception:
        return str(value)


def finite(value):
    if isinstance(value, dict):
        return {str(name): finite(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    return finite(plain_one(value))


def told(error):
    message = getattr(error, "message", None) or str(error)
    message = message if len(message) <= 4000 else message[:4000] + "…"
    return "%s: %s" % (type(error).__name__, message) if not hasattr(error, "error_code") else message


if __name__ == "__main__":
    main()
