"""All clients, against the same server and against none."""

import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pandas
import pytest

from tests.serving.blocking_client import BlockingClient
from tests.serving.toy_models import FEATURES, SIGNATURES, call_directly
from tfmtl.serving.async_grpc_client import AsyncGrpcClient
from tfmtl.serving.async_rest_client import AsyncRestClient
from tfmtl.serving.client.async_client import AsyncClient
from tfmtl.serving.client.retries import Retries
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.protocol.feature_error import FeatureError
from tfmtl.serving.protocol.model_metadata import ModelMetadata
from tfmtl.serving.protocol.signature import TensorSpec
from tfmtl.serving.protocol.version_status import VersionStatus
from tfmtl.serving.rest_client import RestClient
from tfmtl.serving.serving_error import ServingError

pytestmark = pytest.mark.process

CLIENTS = [GrpcClient, RestClient, AsyncGrpcClient, AsyncRestClient]
NEVER_AGAIN = Retries(attempts=1)

LISTS = {
    "country": ["se", "no", "ö"],
    "age": [31.5, 0.1, -2],
    "item": [7, 8, 9_000_000_000],
    "tags": [["a", "b"], ["a", ""], ["", ""]],
}


@pytest.fixture(params=["grpc", "rest", "async_grpc", "async_rest"])
def client(request):
    return request.getfixturevalue(f"{request.param}_client")


@contextmanager
def connected(client_class, address, model_name="toy", **options):
    """A client of any class, called as a synchronous one is."""
    is_async = issubclass(client_class, AsyncClient)
    client = BlockingClient(client_class, address, model_name, **options) if is_async else None
    with client or client_class(address, model_name, **options) as opened:
        yield opened


def address_of(server, client_class):
    is_grpc = client_class in (GrpcClient, AsyncGrpcClient)
    return f"127.0.0.1:{server.grpc_port if is_grpc else server.rest_port}"


@pytest.fixture
def silent_address():
    """An address where connections are taken and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def dead_address():
    """An address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return f"127.0.0.1:{port}"


@pytest.mark.parametrize("features", [FEATURES, LISTS], ids=["arrays", "lists"])
def test_predict_equals_the_direct_call(client, exported, features):
    outputs = client.predict(features)
    direct = call_directly(exported, "serving_default", FEATURES)
    assert set(outputs) == set(direct)
    for name, array in outputs.items():
        assert array.dtype == direct[name].dtype
        np.testing.assert_array_equal(array, direct[name])


def test_lists_take_the_models_dtypes(client):
    """An int where floats are expected, and a history without events."""
    outputs = client.predict({"country": ["se"], "age": [10], "item": [7], "tags": [[]]})
    floats = client.predict({"country": ["se"], "age": [10.0], "item": [7], "tags": [[""]]})
    assert outputs["click"].tolist() == floats["click"].tolist()


def test_rows_and_ragged_lists_are_sent_filled_up(client):
    rows = [
        {"country": "se", "age": 31.5, "item": 7, "tags": ["a", "b"]},
        {"country": "no", "age": 0.1, "item": 8, "tags": ["a"]},
        {"country": "ö", "age": -2, "item": 9_000_000_000, "tags": []},
    ]
    outputs, expected = client.predict(rows), client.predict(FEATURES)
    for name in expected:
        np.testing.assert_array_equal(outputs[name], expected[name])


def test_rank(client):
    outputs = client.rank({"user": 2.0}, [{"item": 1.0}, {"item": 2}, {"item": 4.0}])
    assert outputs["score"].tolist() == [2.0, 4.0, 8.0]
    with pytest.raises(FeatureError, match="candidate 1: feature 'item' must be a number"):
        client.rank({"user": 2.0}, [{"item": 1.0}, {"item": "x"}])


@pytest.mark.parametrize("signature_name", ["lone", "rank", "echo"])
def test_both_clients_answer_alike_on_every_form_of_signature(grpc_client, rest_client, signature_name):
    features = {
        "lone": {"x": np.float32([np.nan, np.inf, -np.inf, 1e-30, 16777217.0, 0.1])},
        "rank": {"user": [2.0], "item": [1.0, 2.0, 4.0]},
        "echo": {"payload": ["", "a\x00", "ö"]},
    }[signature_name]
    over_grpc = grpc_client.predict(features, signature_name=signature_name, version=3)
    over_rest = rest_client.predict(features, signature_name=signature_name, version=3)
    assert set(over_grpc) == set(over_rest)
    for name, array in over_grpc.items():
        assert over_rest[name].dtype == array.dtype
        np.testing.assert_array_equal(over_rest[name], array)


def test_bytes_that_are_no_text_are_sent_in_base64_where_needed(grpc_client, rest_client):
    payload = {"payload": [b"\xff\x00"]}
    assert grpc_client.predict(payload, signature_name="echo")["text_bytes"].tolist() == [b"\xff\x00"]
    with pytest.raises(ServingError, match="Output 'text' holds bytes that are not UTF-8"):
        rest_client.predict(payload, signature_name="echo")


def test_status(client):
    expected = [VersionStatus(3, "AVAILABLE")]
    assert client.status() == expected
    assert client.status(version=3) == expected
    with pytest.raises(ServingError, match="NOT_FOUND: Could not find version 4 of model 'toy'"):
        client.status(version=4)


def test_metadata(client):
    metadata = client.metadata(version=3)
    assert isinstance(metadata, ModelMetadata) and metadata.version == 3
    assert set(metadata.signatures) == set(SIGNATURES)
    signature = metadata.signatures["serving_default"]
    assert signature.inputs == {
        "country": TensorSpec("string", (None,)),
        "age": TensorSpec("float32", (None,)),
        "item": TensorSpec("int64", (None,)),
        "tags": TensorSpec("string", (None, None)),
    }
    assert signature.outputs == {"click": TensorSpec("float32", (None,)), "watch": TensorSpec("int64", (None, 2))}
    assert metadata.signatures["half"].outputs == {"z": TensorSpec("bfloat16", (None,))}


@pytest.mark.parametrize(
    ("features", "feature", "message"),
    [
        ({"age": [1.0]}, "country", "input 'country' is missing"),
        ({**LISTS, "ag": [1.0]}, "ag", "'ag' is not an input.*Did you mean 'age'"),
        ({**LISTS, "age": ["1", "2", "3"]}, "age", "row 0: feature 'age' must be a number"),
        ({**LISTS, "tags": ["a", "b", "c"]}, "tags", "row 0: feature 'tags' must be a list of text"),
        ({**LISTS, "item": [1, 2]}, "item", "Received: 2 rows of 'item'"),
    ],
)
def test_a_wrong_request_is_refused_before_it_is_sent(client, features, feature, message):
    with pytest.raises(FeatureError, match=message) as caught:
        client.predict(features)
    assert (caught.value.code, caught.value.feature) == ("INVALID_ARGUMENT", feature)


def test_the_servers_refusal_is_raised(client):
    with pytest.raises(ServingError, match="version 9 of model 'toy'") as caught:
        client.predict(LISTS, version=9)
    assert caught.value.code == "NOT_FOUND"
    with pytest.raises(ServingError, match=r"(?s)Signature 'pick': .*indices") as caught:
        client.predict({"index": [5]}, signature_name="pick")
    assert caught.value.code == "INVALID_ARGUMENT"


def test_an_unknown_signature_is_a_failed_precondition(client):
    with pytest.raises(
        ServingError, match=r"version 3 has no signature 'serving'. Known signatures: \['classify', 'echo'"
    ) as caught:
        client.predict(LISTS, signature_name="serving")
    assert caught.value.code == "FAILED_PRECONDITION"


@pytest.mark.parametrize("client_class", CLIENTS)
def test_an_unknown_model_is_not_found(server, client_class):
    with (
        connected(client_class, address_of(server, client_class), "a b") as client,
        pytest.raises(ServingError, match=r"model 'a b'.*Served models: \['toy'\]") as caught,
    ):
        client.predict(LISTS)
    assert caught.value.code == "NOT_FOUND"


@pytest.mark.parametrize("client_class", CLIENTS)
def test_no_server_is_unavailable(dead_address, client_class):
    expected = f"{client_class.__name__}: no server answers at {dead_address}"
    with (
        connected(client_class, dead_address, retries=NEVER_AGAIN) as client,
        pytest.raises(ServingError, match=expected) as caught,
    ):
        client.predict(LISTS)
    assert caught.value.code == "UNAVAILABLE"


@pytest.mark.parametrize("client_class", CLIENTS)
def test_a_silent_server_exceeds_the_deadline(silent_address, client_class):
    expected = f"{client_class.__name__}: {silent_address} did not answer within 0.3 s."
    with connected(client_class, silent_address, timeout=0.3) as client:
        with pytest.raises(ServingError, match=expected) as caught:
            client.status()
        assert caught.value.code == "DEADLINE_EXCEEDED"
        with pytest.raises(ServingError, match=r"did not answer within 0.1 s."):
            client.status(timeout=0.1)


def test_all_clients_find_a_server_that_comes_late(exported):
    """Each asks before the server is there; none is told to try again."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        grpc_port, rest_port = one.getsockname()[1], other.getsockname()[1]
    server = LocalServer(exported.parent, "toy", grpc_port=grpc_port, rest_port=rest_port)
    patient = Retries(attempts=500, first_wait=0.05, longest_wait=0.1)

    def ask(client_class):
        with connected(client_class, address_of(server, client_class), retries=patient, timeout=60.0) as client:
            with pytest.raises(ServingError, match=r"UNAVAILABLE|DEADLINE_EXCEEDED"):
                client.status(timeout=0.01)
            asked.release()
            return client.predict({"x": [1.0]}, signature_name="lone")["y"].tolist()

    asked = threading.Semaphore(0)
    with ThreadPoolExecutor() as pool:
        answers = [pool.submit(ask, client_class) for client_class in CLIENTS]
        for _ in CLIENTS:
            asked.acquire(timeout=30)
        with server:
            assert [answer.result(timeout=60) for answer in answers] == [[pytest.approx(0.6)]] * 4


def test_another_kind_of_server_is_named_as_such(server):
    """The gRPC port speaks HTTP/2 only; RestClient must not show a parser's words for it."""
    with pytest.raises(ServingError, match="RestClient: no server answers at") as caught:
        RestClient(f"127.0.0.1:{server.grpc_port}", "toy", retries=NEVER_AGAIN).status()
    assert caught.value.code == "UNAVAILABLE"


@pytest.mark.parametrize("address", ["ftp://models", "http://", ""])
def test_rest_addresses_are_checked(address):
    with pytest.raises(ValueError, match="RestClient: `address` must be 'host:port' or an http or https URL"):
        RestClient(address, "toy")


def test_rest_urls_with_a_path_are_kept(server):
    """A server behind a gateway is asked below the gateway's path, which the toy server does not know."""
    assert RestClient(f"http://127.0.0.1:{server.rest_port}/", "toy").status() == [VersionStatus(3, "AVAILABLE")]
    with pytest.raises(ServingError, match="Malformed request: GET /gateway/v1/models/toy"):
        RestClient(f"http://127.0.0.1:{server.rest_port}/gateway", "toy").status()


def test_clients_load_no_tensorflow_and_live_beside_it(server):
    """In a process of its own: all clients predict without TensorFlow, import it then, and use both message sets."""
    program = f"""
import asyncio, sys
from tfmtl.serving.async_grpc_client import AsyncGrpcClient
from tfmtl.serving.async_rest_client import AsyncRestClient
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.rest_client import RestClient
user, items = {{"user": 2.0}}, [{{"item": 1.0}}, {{"item": 2.0}}]
grpc_address, rest_address = "127.0.0.1:{server.grpc_port}", "127.0.0.1:{server.rest_port}"
grpc_client = GrpcClient(grpc_address, "toy")
first = grpc_client.rank(user, items)["score"].tolist()
assert RestClient(rest_address, "toy").rank(user, items)["score"].tolist() == first
async def ask(client):
    async with client:
        return (await client.rank(user, items))["score"].tolist()
for client in (AsyncGrpcClient(grpc_address, "toy"), AsyncRestClient(rest_address, "toy")):
    assert asyncio.run(ask(client)) == first
heavy = ("tensorflow", "tensorflow_serving", "keras", "pandas", "pyarrow")
loaded = [name for name in sys.modules if name.split(".")[0] in heavy]
assert not loaded, loaded
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
request = predict_pb2.PredictRequest()
request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0]))
assert predict_pb2.PredictRequest.FromString(request.SerializeToString()) == request
assert grpc_client.rank(user, items)["score"].tolist() == first == [2.0, 4.0]
"""
    subprocess.run([sys.executable, "-c", program], check=True)


class TestNoRows:
    """A frame without rows is answered without rows, whatever its empty columns seem to hold."""

    @pytest.mark.parametrize("dtype", [object, np.float64, np.int64])
    def test_empty_columns(self, client, dtype):
        answer = client.predict({name: np.array([], dtype) for name in FEATURES})
        assert {name: array.shape for name, array in answer.items()} == {"click": (0,), "watch": (0, 2)}
        assert answer["watch"].dtype == np.int64

    def test_empty_lists_and_frames(self, client):
        for empty in ({name: [] for name in FEATURES}, pandas.DataFrame({name: [] for name in FEATURES})):
            assert client.predict(empty)["click"].shape == (0,)

    def test_a_list_of_no_rows_is_refused_alike(self, client):
        with pytest.raises(ServingError, match=r"predict: there must be at least one row\. Received: an empty list"):
            client.predict([])


@pytest.mark.parametrize("client_class", CLIENTS)
def test_every_client_leaves_out_what_the_model_does_not_know_where_asked(server, client_class):
    with connected(client_class, address_of(server, client_class), ignore_extra=True) as opened:
        outputs = opened.predict({**LISTS, "label": [1, 0, 1]})
    with connected(client_class, address_of(server, client_class)) as opened:
        np.testing.assert_array_equal(outputs["click"], opened.predict(LISTS)["click"])
        with pytest.raises(FeatureError, match="'label' is not an input"):
            opened.predict({**LISTS, "label": [1, 0, 1]})
