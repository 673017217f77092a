"""A server with more to do than it can: refusals and deadlines as clients of both protocols see them."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from tests.serving.test_local_server import wait_until
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.rest_client import RestClient
from tfmtl.serving.server.batching_options import BatchingOptions
from tfmtl.serving.server.request_batcher import RequestBatcher
from tfmtl.serving.server.served_model import ServedModel
from tfmtl.serving.serving_error import ServingError

pytestmark = pytest.mark.process


@pytest.fixture
def held(monkeypatch):
    """Calls that reach the model wait for `go`; `computed` holds what they ask, `queued` what was let in before."""
    found = SimpleNamespace(computed=[], queued=[], go=threading.Event())
    predict, submit = ServedModel.predict, RequestBatcher.submit

    def wait_and_predict(model, name, inputs, output_filter=()):
        found.computed.append(float(inputs["x"][0]))
        assert found.go.wait(60)
        return predict(model, name, inputs, output_filter)

    def note_and_submit(*arguments):
        found.queued.append(submit(*arguments))
        return found.queued[-1]

    monkeypatch.setattr(ServedModel, "predict", wait_and_predict)
    monkeypatch.setattr(RequestBatcher, "submit", note_and_submit)
    yield found
    found.go.set()


class Asker:
    """Asks a server that computes one batch at a time and lets one wait."""

    def __init__(self, server, protocol):
        self.address = f"127.0.0.1:{(server.grpc_port, server.rest_port)[protocol]}"
        self.protocol = protocol
        self.answers, self.errors, self.threads = [], [], []

    def ask(self, value, signature_name="lone", timeout=60.0):
        client = (GrpcClient, RestClient)[self.protocol](self.address, "toy")
        try:
            inputs = {"x": np.float32([value])}
            self.answers.append(client.predict(inputs, signature_name=signature_name, timeout=timeout))
        except ServingError as error:
            self.errors.append(error.code)

    def ask_beside(self, *arguments):
        self.threads.append(threading.Thread(target=self.ask, args=arguments))
        self.threads[-1].start()

    def wait(self):
        for thread in self.threads:
            thread.join(60)


@pytest.fixture(params=[1, 4], ids=["alone", "batched"])
def server(exported, held, request):
    options = BatchingOptions(request.param, max_enqueued_batches=1, num_batch_threads=1)
    with LocalServer(exported.parent, "toy", grpc_port=0, rest_port=0, batching=options) as server:
        yield server
        held.go.set()


@pytest.fixture(params=[0, 1], ids=["grpc", "rest"])
def asker(server, held, request):
    """It has one request under way that computes."""
    asker = Asker(server, request.param)
    asker.ask_beside(1.0)
    wait_until(lambda: held.computed == [1.0])
    return asker


def test_a_full_queue_is_resource_exhausted(asker, held):
    asker.ask_beside(2.0)
    wait_until(lambda: len(held.queued) == 2)
    asker.ask(3.0, "pair")  # another signature: cannot share what waits there
    assert asker.errors == ["RESOURCE_EXHAUSTED"]
    held.go.set()
    asker.wait()
    assert len(asker.answers) == 2 and len(asker.errors) == 1
    assert held.computed == [1.0, 2.0]


def test_who_was_given_up_makes_room_and_is_not_computed(asker, held):
    asker.ask(2.0, "lone", 1.0)
    assert asker.errors == ["DEADLINE_EXCEEDED"]
    wait_until(lambda: not held.queued[1].is_alive(time.monotonic()))  # the server has learnt that the client is gone
    asker.ask_beside(3.0, "pair")
    wait_until(lambda: len(held.queued) == 3 or len(asker.errors) > 1)
    held.go.set()
    asker.wait()
    assert len(asker.answers) == 2 and len(asker.errors) == 1
    assert held.computed == [1.0, 3.0]
