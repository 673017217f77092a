"""What one client cannot take from the others: rows, bytes, requests, connections and time."""

import json
import select
import socket
import threading
import time
from http.client import HTTPConnection

import grpc
import numpy as np
import pytest
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2

from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.protocol.signature import Signature, TensorSpec
from tfmtl.serving.rest_client import RestClient
from tfmtl.serving.server.limits import Limits
from tfmtl.serving.server.served_model import ServedModel
from tfmtl.serving.serving_error import ServingError

pytestmark = pytest.mark.process

LONE = {"x": np.float32([10.0])}
PREDICT = "/tensorflow.serving.PredictionService/Predict"
HEAD = b"POST /v1/models/toy:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60\r\n\r\n"
SMALL = Limits(max_message_bytes=20_000, max_rows=5, max_requests=2, max_connections=6, read_seconds=1, idle_seconds=3)


@pytest.fixture(scope="module")
def small_server(exported):
    with LocalServer(exported.parent, "toy", grpc_port=0, rest_port=0, limits=SMALL) as server:
        yield server


@pytest.fixture
def server(small_server):
    """The server, which must answer after the test whatever the test did."""
    yield small_server
    for client in clients_of(small_server):
        assert ask(client) == 1.5


def clients_of(server):
    return GrpcClient(f"127.0.0.1:{server.grpc_port}", "toy"), RestClient(f"127.0.0.1:{server.rest_port}", "toy")


def ask(client, values=(10.0,)):
    return float(client.predict({"x": np.float32(values)}, signature_name="lone", timeout=30)["y"][0])


def refused(server, body, **options):
    """Returns the error of a Predict call."""
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(PREDICT)(body, timeout=30, **options)
    return caught.value


@pytest.fixture(params=[0, 1], ids=["grpc", "rest"])
def client(request, server):
    return clients_of(server)[request.param]


class TestSizes:
    def test_rows(self, client):
        assert ask(client, [10.0] * 5) == 1.5
        with pytest.raises(
            ServingError, match=r"input 'x' must not exceed 5 rows \(the server's --max-rows\)"
        ) as caught:
            ask(client, [10.0] * 6)
        assert caught.value.code == "RESOURCE_EXHAUSTED" and "Received: 6 rows. Split the request." in str(caught.value)

    @pytest.mark.parametrize("num_bytes", [30_000, 39_000])
    def test_bytes_of_a_message(self, client, num_bytes):
        with pytest.raises(
            ServingError, match=r"must not exceed 20000 bytes \(the server's --max-message-bytes\)"
        ) as caught:
            client.predict({"payload": ["x" * num_bytes]}, signature_name="echo")
        assert caught.value.code == "RESOURCE_EXHAUSTED"

    def test_grpc_itself_refuses_what_is_larger_still(self, server):
        with pytest.raises(ServingError, match=r"RESOURCE_EXHAUSTED: .*larger than max.*40000"):
            clients_of(server)[0].predict({"payload": ["x" * 100_000]}, signature_name="echo")

    def test_rows_over_rest_are_413(self, server):
        connection = HTTPConnection("127.0.0.1", server.rest_port)
        connection.request(
            "POST", "/v1/models/toy:predict", json.dumps({"signature_name": "lone", "instances": [1] * 6})
        )
        assert connection.getresponse().status == 413
        connection.close()

    def test_a_head_that_is_too_long(self, server):
        connection = HTTPConnection("127.0.0.1", server.rest_port)
        connection.request("GET", "/v1/models/toy", headers={"X": "y" * 10_000})
        assert connection.getresponse().status == 400
        connection.close()

    def test_few_bytes_that_stand_for_many(self, server):
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = "toy", "serving_default"
        for name, dtype, sizes in (("country", 7, [5]), ("age", 1, [5]), ("item", 9, [5]), ("tags", 7, [5, 1000])):
            request.inputs[name].CopyFrom(tensor_pb2.TensorProto(dtype=dtype))
            for size in sizes:
                request.inputs[name].tensor_shape.dim.add(size=size)
        caught = refused(server, request.SerializeToString())
        assert caught.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "Received: 120180 bytes, most of them of input 'tags'" in caught.details()

    def test_a_packed_grpc_message_counts_unpacked(self, server):
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = "toy", "echo"
        request.inputs["payload"].CopyFrom(tensor_pb2.TensorProto(dtype=7, string_val=[b"x" * 5_000_000]))
        caught = refused(server, request.SerializeToString(), compression=grpc.Compression.Gzip)
        assert caught.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


class TestArguments:
    @pytest.mark.parametrize(
        "name", ["max_message_bytes", "max_rows", "max_requests", "max_connections", "read_seconds"]
    )
    def test_limits_are_positive(self, name):
        with pytest.raises(ValueError, match=f"Limits: `{name}` must be .* Received: {name}=0"):
            Limits(**{name: 0})

    def test_no_number_is_no_limit(self):
        with pytest.raises(ValueError, match=r"Limits: `idle_seconds` must be positive\. Received: idle_seconds=nan"):
            Limits(idle_seconds=float("nan"))

    def test_inputs_with_a_fixed_first_dimension_have_no_rows(self):
        signature = Signature("s", {"user": TensorSpec("float32", (100,)), "item": TensorSpec("float32", (None,))}, {})
        tensors = {"user": TensorSpec("float32", (100,)), "item": TensorSpec("float32", (5,))}
        Limits(max_rows=5).check_tensors(signature, tensors)
        with pytest.raises(ServingError, match="input 'item' must not exceed 4 rows"):
            Limits(max_rows=4).check_tensors(signature, tensors)


class TestSlowClients:
    def test_a_head_that_trickles_in_is_given_up(self, server):
        with socket.create_connection(("127.0.0.1", server.rest_port), timeout=20) as connection:
            connection.sendall(HEAD[:10])
            assert trickle(connection, HEAD[10:]) == b""

    def test_a_body_that_trickles_in_is_given_up(self, server):
        with socket.create_connection(("127.0.0.1", server.rest_port), timeout=20) as connection:
            connection.sendall(HEAD)
            answer = trickle(connection, b" " * 60)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"The body must arrive within 1 s (the server's --read-seconds)." in answer

    def test_a_grpc_message_that_never_comes_is_given_up(self, server):
        release = threading.Event()

        def nothing():
            release.wait(30)
            yield from ()

        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            with pytest.raises(grpc.RpcError) as caught:
                channel.stream_unary(PREDICT)(nothing(), timeout=30)
            release.set()
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert (
            caught.value.details() == f"The message of {PREDICT} must arrive within 1 s (the server's --read-seconds)."
        )

    def test_a_connection_that_says_nothing_is_closed(self, server):
        for port in (server.rest_port, server.grpc_port):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                while connection.recv(1000):  # gRPC greets first
                    pass

    def test_idle_connections_make_room_for_whoever_asks(self, server):
        port = server.rest_port
        idle = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(30)]
        for connection in idle:
            connection.sendall(HEAD[:5])
        for client in clients_of(server):
            assert ask(client) == 1.5
        assert [connection.recv(10) for connection in idle] == [b""] * 30
        for connection in idle:
            connection.close()

    def test_a_crowd_of_silent_grpc_connections_passes(self, server):
        idle = [socket.create_connection(("127.0.0.1", server.grpc_port), timeout=20) for _ in range(30)]
        wait_until(lambda: is_answered(server))
        for connection in idle:
            connection.close()


class TestStalledRequests:
    """Who sends a head and no message holds no place: three requests would fill the two there are."""

    def test_calls_without_a_message(self, server):
        release = threading.Event()

        def nothing():
            release.wait(30)
            yield from ()

        channels = [grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") for _ in range(2)]
        stalled = [channel.stream_unary(PREDICT).future(nothing(), timeout=30) for channel in channels for _ in "abcd"]
        try:
            for _ in range(20):
                assert ask(clients_of(server)[0]) == 1.5
            wait_until(lambda: all(call.done() for call in stalled))  # too many, or too late
            codes = {call.code().name for call in stalled}
            assert codes <= {"RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"} and "RESOURCE_EXHAUSTED" in codes
        finally:
            release.set()
            for channel in channels:
                channel.close()

    def test_bodies_that_do_not_come(self, server):
        stalled = [socket.create_connection(("127.0.0.1", server.rest_port), timeout=20) for _ in range(4)]
        for connection in stalled:
            connection.sendall(HEAD + b"{")
        assert ask(clients_of(server)[1]) == 1.5
        for connection in stalled:
            connection.close()

    def test_bodies_that_do_not_end_share_a_limit(self, exported):
        limits = Limits(max_message_bytes=100_000, read_seconds=10)
        with LocalServer(exported.parent, "toy", grpc_port=0, rest_port=0, limits=limits) as server:
            head = HEAD.replace(b"Length: 60", b"Length: 99999")
            stalled = [socket.create_connection(("127.0.0.1", server.rest_port), timeout=20) for _ in range(18)]
            for connection in stalled:
                connection.sendall(head + b" " * 99_998)
            refused, _, _ = select.select(stalled, [], [], 20)
            answer = refused[0].recv(1000)
            assert answer.startswith(b"HTTP/1.1 429 ") and b"must not exceed 16 times 100000 bytes" in answer
            for connection in stalled:
                connection.close()
            assert ask(clients_of(server)[1]) == 1.5


def trickle(connection, data):
    """Sends a byte at a time until the server says or does something, which is returned."""
    connection.settimeout(0.2)
    for byte in data:
        try:
            connection.sendall(bytes([byte]))
            return connection.recv(1000)
        except TimeoutError:
            continue
        except ConnectionError:
            return b""
    raise AssertionError("the server took it all")


def is_answered(server):
    client, _ = clients_of(server)
    try:
        return ask(client) == 1.5
    except ServingError as error:
        assert error.code == "UNAVAILABLE"
        return False


def wait_until(condition):
    give_up = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up, "waited a minute in vain"
        time.sleep(0.05)


def test_requests_beyond_those_under_way_are_refused(server, monkeypatch):
    go, entered = threading.Event(), threading.Semaphore(0)
    predict = ServedModel.predict

    def wait_and_predict(*arguments):
        entered.release()
        assert go.wait(60)
        return predict(*arguments)

    grpc_client, rest_client = clients_of(server)
    ask(grpc_client), ask(rest_client)  # both have read the metadata now
    with monkeypatch.context() as patch:
        patch.setattr(ServedModel, "predict", wait_and_predict)
        answers = []
        threads = [
            threading.Thread(target=lambda client=client: answers.append(ask(client)))
            for client in (grpc_client, rest_client) * 2
        ]
        for thread in threads:
            thread.start()
        try:
            assert entered.acquire(timeout=60)  # how many compute at a time is the server's choice
            time.sleep(0.5)  # until the others have arrived
            for client in (grpc_client, rest_client):
                with pytest.raises(ServingError, match=r"2 requests at once \(its --max-requests\)") as caught:
                    ask(client)
                assert caught.value.code == "RESOURCE_EXHAUSTED"
        finally:
            go.set()
            for thread in threads:
                thread.join(60)
    assert answers == [1.5] * 4
