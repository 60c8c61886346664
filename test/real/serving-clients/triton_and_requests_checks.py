"""Real clients of the serving protocols against `modelwright serve`: prints `ok NAME` or `failed NAME: why` for each check.

    python triton_and_requests_checks.py ECHO_URL COLUMNS_URL TENSOR_URL

ECHO answers what it is given and has no signature; COLUMNS is an iris classifier of four double columns; TENSOR one of a float64
tensor [-1, 4]. Each URL ends with the model's name: http://HOST:PORT/NAME.
"""

import sys
import traceback

import numpy
import requests
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

ECHO, COLUMNS, TENSOR = ((url.rsplit("/", 1)) for url in sys.argv[1:4])
CHECKS = []


def check(work):
    CHECKS.append(work)
    return work


def host(url):
    return url.removeprefix("http://")


NUMBERS = {
    "BOOL": "bool", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64", "INT8": "int8",
    "INT16": "int16", "INT32": "int32", "INT64": "int64", "FP16": "float16", "FP32": "float32", "FP64": "float64",
}  # fmt: skip


def sample(datatype):
    if datatype == "BYTES":
        return numpy.array([["a", "bc"], ["", "é"]], dtype=object)
    if datatype == "BOOL":
        return numpy.array([[True, False], [False, True]])
    values = numpy.array([[0, 1], [2, 100]]).astype(NUMBERS[datatype])
    return values + values.dtype.type(0.5) if datatype.startswith("FP") else values


def round_trip(module, client, name, datatype, **options):
    value = sample(datatype)
    given = module.InferInput("x", value.shape, datatype)
    given.set_data_from_numpy(value, **options)
    wanted = [module.InferRequestedOutput("output-0", **options)]
    answer = client.infer(name, [given], outputs=wanted, request_id="r-1")
    output = answer.as_numpy("output-0")
    if datatype == "BYTES":
        output = numpy.array([[one.decode() if isinstance(one, bytes) else one for one in row] for row in output], dtype=object)
    assert output.shape == value.shape, (output.shape, value.shape)
    assert (output == value).all(), (output, value)
    response = answer.get_response()
    assert (response["id"] if isinstance(response, dict) else response.id) == "r-1"


for each in [*NUMBERS, "BYTES"]:

    def over_http(datatype=each):
        round_trip(tritonclient.http, tritonclient.http.InferenceServerClient(host(ECHO[0])), ECHO[1], datatype, binary_data=True)

    def in_json(datatype=each):
        round_trip(tritonclient.http, tritonclient.http.InferenceServerClient(host(ECHO[0])), ECHO[1], datatype, binary_data=False)

    def over_grpc(datatype=each):
        round_trip(tritonclient.grpc, tritonclient.grpc.InferenceServerClient(host(ECHO[0])), ECHO[1], datatype)

    over_http.__name__ = "tritonclient.http, binary, %s" % each
    in_json.__name__ = "tritonclient.http, JSON, %s" % each
    over_grpc.__name__ = "tritonclient.grpc, %s" % each
    CHECKS.extend([over_http, over_grpc] if each == "FP16" else [over_http, in_json, over_grpc])


@check
def tritonclient_http_reads_health_metadata_repository_and_statistics():
    client = tritonclient.http.InferenceServerClient(host(TENSOR[0]))
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(TENSOR[1])
    assert not client.is_model_ready("nobody")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    facts = client.get_model_metadata(TENSOR[1])
    assert facts["inputs"][0]["datatype"] == "FP64" and facts["inputs"][0]["shape"] == [-1, 4], facts
    assert [one["name"] for one in client.get_model_repository_index()] == [TENSOR[1]]
    assert client.get_inference_statistics(TENSOR[1])["model_stats"][0]["name"] == TENSOR[1]


@check
def tritonclient_grpc_reads_health_metadata_repository_and_statistics():
    client = tritonclient.grpc.InferenceServerClient(host(TENSOR[0]))
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(TENSOR[1])
    assert "statistics" in client.get_server_metadata().extensions
    facts = client.get_model_metadata(TENSOR[1])
    assert list(facts.inputs[0].shape) == [-1, 4], facts
    assert client.get_model_repository_index().models[0].state == "READY"
    assert client.get_inference_statistics(TENSOR[1]).model_stats[0].name == TENSOR[1]


@check
def tritonclient_packs_requests_and_unpacks_answers():
    client = tritonclient.http.InferenceServerClient(host(ECHO[0]))
    for packing in ("gzip", "deflate"):
        given = tritonclient.http.InferInput("x", [1000], "FP32")
        given.set_data_from_numpy(numpy.arange(1000, dtype="float32"))
        answer = client.infer(
            ECHO[1], [given], request_compression_algorithm=packing, response_compression_algorithm=packing
        )
        assert (answer.as_numpy("output-0") == numpy.arange(1000)).all()


@check
def tritonclient_unloads_and_loads_a_model():
    for module in (tritonclient.http, tritonclient.grpc):
        client = module.InferenceServerClient(host(TENSOR[0]))
        client.unload_model(TENSOR[1])
        assert not client.is_model_ready(TENSOR[1])
        client.load_model(TENSOR[1])
        assert client.is_model_ready(TENSOR[1])


@check
def tritonclient_grpc_streams():
    client = tritonclient.grpc.InferenceServerClient(host(ECHO[0]))
    answers = []
    client.start_stream(lambda result, error: answers.append((result, error)))
    for number in range(3):
        given = tritonclient.grpc.InferInput("x", [1], "INT64")
        given.set_data_from_numpy(numpy.array([number], dtype="int64"))
        client.async_stream_infer(ECHO[1], [given], request_id=str(number))
    client.stop_stream()
    assert sorted(int(result.as_numpy("output-0")[0]) for result, error in answers if error is None) == [0, 1, 2], answers


@check
def tritonclient_is_told_what_is_wrong():
    for module in (tritonclient.http, tritonclient.grpc):
        client = module.InferenceServerClient(host(TENSOR[0]))
        given = module.InferInput("input-0", [1, 3], "FP64")
        given.set_data_from_numpy(numpy.zeros((1, 3)))
        for name, words in ((TENSOR[1], "shape"), ("nobody", "nobody")):
            try:
                client.infer(name, [given])
            except InferenceServerException as error:
                assert words in error.message(), error.message()
            else:
                raise AssertionError("no error")


@check
def tritonclient_asks_for_a_version():
    client = tritonclient.http.InferenceServerClient(host(ECHO[0]))
    given = tritonclient.http.InferInput("x", [1], "FP32")
    given.set_data_from_numpy(numpy.zeros(1, dtype="float32"))
    assert client.infer(ECHO[1], [given], model_version="1").get_response()["model_version"] == "1"
    try:
        client.infer(ECHO[1], [given], model_version="7")
    except InferenceServerException as error:
        assert "7" in error.message()
    else:
        raise AssertionError("no error")


@check
def requests_scores_as_mlflow_does():
    names = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
    rows = [[5.1, 3.5, 1.4, 0.2], [6.0, 3.0, 5.0, 2.0]]
    bodies = [
        {"dataframe_split": {"columns": names, "data": rows}},
        {"dataframe_records": [dict(zip(names, row)) for row in rows]},
        {"inputs": {name: [row[index] for row in rows] for index, name in enumerate(names)}},
        {"instances": [dict(zip(names, row)) for row in rows]},
    ]
    for body in bodies:
        answer = requests.post(COLUMNS[0] + "/invocations", json=body, timeout=30)
        assert answer.json() == {"predictions": [0, 2]}, (answer.text, body)
    text = "\n".join([",".join(names), *(",".join(map(str, row)) for row in rows)])
    answer = requests.post(COLUMNS[0] + "/invocations", data=text, headers={"Content-Type": "text/csv; charset=utf-8"}, timeout=30)
    assert answer.json() == {"predictions": [0, 2]}, answer.text


def main():
    for work in CHECKS:
        try:
            work()
            print("ok", work.__name__, flush=True)
        except BaseException as error:
            print("failed %s: %s" % (work.__name__, str(error)[:500] or type(error).__name__), flush=True)
            traceback.print_exc()


main()
