"""A server with more to do than it can: refusals and deadlines as clients of both protocols see them."""

import threading
import time

import numpy as np
import pytest

from serving.grpc_client import GrpcClient
from serving.local_server import LocalServer
from serving.rest_client import RestClient
from serving.server.batching_options import BatchingOptions
from serving.server.served_model import ServedModel
from serving.serving_error import ServingError
from tests.serving.test_local_server import wait_until

LONE = {"x": np.float32([10.0])}


@pytest.fixture
def held(monkeypatch):
    """Calls that reach the model wait for `go`; `entered` holds what they ask."""
    entered, go = [], threading.Event()
    predict = ServedModel.predict

    def wait_and_predict(model, name, inputs, output_filter=()):
        entered.append(float(inputs["x"][0]))
        assert go.wait(60)
        return predict(model, name, inputs, output_filter)

    monkeypatch.setattr(ServedModel, "predict", wait_and_predict)
    yield entered, go
    go.set()


@pytest.mark.parametrize("max_batch_size", [1, 4], ids=["alone", "batched"])
@pytest.mark.parametrize("protocol", [0, 1], ids=["grpc", "rest"])
def test_a_full_queue_is_resource_exhausted_and_late_requests_are_not_computed(
    exported, held, protocol, max_batch_size
):
    entered, go = held
    options = BatchingOptions(max_batch_size, max_enqueued_batches=1, num_batch_threads=1)
    with LocalServer(exported.parent, "toy", grpc_port=0, rest_port=0, batching=options) as server:
        address = f"127.0.0.1:{(server.grpc_port, server.rest_port)[protocol]}"
        answers, errors = [], []

        def ask(value, signature_name="lone", timeout=60.0):
            client = (GrpcClient, RestClient)[protocol](address, "toy")
            try:
                inputs = {"x": np.float32([value])}
                answers.append(client.predict(inputs, signature_name=signature_name, timeout=timeout))
            except ServingError as error:
                errors.append(error.code)

        computing = threading.Thread(target=ask, args=(1.0,))
        computing.start()
        wait_until(lambda: entered == [1.0])
        ask(2.0, timeout=1.0)  # waits in the queue until it is given up
        assert errors == ["DEADLINE_EXCEEDED"]
        ask(3.0, signature_name="pair")  # another signature: cannot share what waits there
        assert errors[1:] == ["RESOURCE_EXHAUSTED"]
        time.sleep(0.2)  # for the server to learn that the client is gone
        go.set()
        computing.join()
        ask(4.0)
        assert len(answers) == 2 and len(errors) == 2
        assert entered == [1.0, 4.0]
