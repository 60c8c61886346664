"""The kserve client's checks, apart: its generated messages and tritonclient's cannot live in one process. See triton_and_requests_checks.py."""

import asyncio
import sys
import traceback

import numpy
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

TENSOR = sys.argv[3].rsplit("/", 1)
CHECKS = []


def check(work):
    CHECKS.append(work)
    return work


def host(url):
    return url.removeprefix("http://")


@check
def kserve_rest_client():
    async def work():
        client = InferenceRESTClient(RESTConfig(protocol="v2", timeout=30))
        assert await client.is_server_live(TENSOR[0])
        assert await client.is_server_ready(TENSOR[0])
        assert await client.is_model_ready(TENSOR[0], TENSOR[1])
        for binary in (False, True):
            given = InferInput("input-0", [2, 4], "FP64")
            given.set_data_from_numpy(numpy.array([[5.1, 3.5, 1.4, 0.2], [6.0, 3.0, 5.0, 2.0]]), binary_data=binary)
            request = InferRequest(model_name=TENSOR[1], infer_inputs=[given], request_id="k-1")
            answer = await client.infer(TENSOR[0], request, model_name=TENSOR[1])
            assert answer.id == "k-1", answer.id
            assert answer.outputs[0].as_numpy().tolist() == [0, 2], answer.outputs[0].as_numpy()

    asyncio.run(work())


@check
def kserve_grpc_client():
    async def work():
        client = InferenceGRPCClient(url=host(TENSOR[0]))
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready(TENSOR[1])
        given = InferInput("input-0", [1, 4], "FP64")
        given.set_data_from_numpy(numpy.array([[5.1, 3.5, 1.4, 0.2]]), binary_data=False)
        answer = await client.infer(InferRequest(model_name=TENSOR[1], infer_inputs=[given]))
        assert answer.outputs[0].as_numpy().tolist() == [0], answer

    asyncio.run(work())


def main():
    for work in CHECKS:
        try:
            work()
            print("ok", work.__name__, flush=True)
        except BaseException as error:
            print("failed %s: %s" % (work.__name__, str(error)[:500] or type(error).__name__), flush=True)
            traceback.print_exc()


main()
