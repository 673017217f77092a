"""Both clients, against the same server and against none."""

import socket
import subprocess
import sys

import numpy as np
import pytest

from serving.grpc_client import GrpcClient
from serving.model_metadata import ModelMetadata
from serving.rest_client import RestClient
from serving.serving_error import ServingError
from serving.signature import TensorSpec
from serving.version_status import VersionStatus
from tests.serving.toy_models import FEATURES, SIGNATURES, call_directly

CLIENTS = [GrpcClient, RestClient]

LISTS = {
    "country": ["se", "no", "ö"],
    "age": [31.5, 0.1, -2],
    "item": [7, 8, 9_000_000_000],
    "tags": [["a", "b"], ["a", ""], ["", ""]],
}


@pytest.fixture(params=["grpc", "rest"])
def client(request):
    return request.getfixturevalue(f"{request.param}_client")


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


def test_a_refused_request_makes_the_client_ask_for_the_inputs_again(grpc_client, monkeypatch):
    asked = []
    metadata = GrpcClient.metadata
    monkeypatch.setattr(GrpcClient, "metadata", lambda *a, **o: asked.append(1) or metadata(*a, **o))
    for _ in range(2):
        grpc_client.predict(LISTS)
    assert len(asked) == 1
    with pytest.raises(ServingError, match="input 'country' is missing"):
        grpc_client.predict({"age": [1.0]})
    grpc_client.predict(LISTS)
    assert len(asked) == 2


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
    ("features", "options", "code", "message"),
    [
        ({"age": [1.0]}, {}, "INVALID_ARGUMENT", "input 'country' is missing"),
        ({**LISTS, "ag": [1.0]}, {}, "INVALID_ARGUMENT", "'ag' is not an input"),
        ({**LISTS, "age": ["1", "2", "3"]}, {}, "INVALID_ARGUMENT", "nput 'age' must have dtype float32"),
        ({**LISTS, "tags": ["a", "b", "c"]}, {}, "INVALID_ARGUMENT", r"input 'tags' must have shape \(\?, \?\)"),
        ({**LISTS, "item": [1, 2]}, {}, "INVALID_ARGUMENT", "Received: 2 rows of 'item'"),
        (LISTS, {"version": 9}, "NOT_FOUND", "version 9 of model 'toy'"),
    ],
)
def test_the_servers_refusal_is_raised(client, features, options, code, message):
    with pytest.raises(ServingError, match=message) as caught:
        client.predict(features, **options)
    assert caught.value.code == code


def test_an_unknown_signature_is_a_failed_precondition_and_over_http_a_bad_request(grpc_client, rest_client):
    for client, code in ((grpc_client, "FAILED_PRECONDITION"), (rest_client, "INVALID_ARGUMENT")):
        with pytest.raises(ServingError, match="Serving signature 'serving' not found") as caught:
            client.predict(LISTS, signature_name="serving")
        assert caught.value.code == code


@pytest.mark.parametrize("client_class", CLIENTS)
def test_an_unknown_model_is_not_found(server, client_class):
    port = server.grpc_port if client_class is GrpcClient else server.rest_port
    with pytest.raises(ServingError, match=r"model 'a b'.*Served models: \['toy'\]") as caught:
        client_class(f"127.0.0.1:{port}", "a b").predict(LISTS)
    assert caught.value.code == "NOT_FOUND"


@pytest.mark.parametrize("client_class", CLIENTS)
def test_no_server_is_unavailable(dead_address, client_class):
    expected = f"{client_class.__name__}: no server answers at {dead_address}"
    with pytest.raises(ServingError, match=expected) as caught:
        client_class(dead_address, "toy").predict(LISTS)
    assert caught.value.code == "UNAVAILABLE"


@pytest.mark.parametrize("client_class", CLIENTS)
def test_a_silent_server_exceeds_the_deadline(silent_address, client_class):
    expected = f"{client_class.__name__}: {silent_address} did not answer within 0.3 s."
    with pytest.raises(ServingError, match=expected) as caught:
        client_class(silent_address, "toy").status(timeout=0.3)
    assert caught.value.code == "DEADLINE_EXCEEDED"


def test_another_kind_of_server_is_named_as_such(server):
    """The gRPC port speaks HTTP/2 only; RestClient must not show a parser's words for it."""
    with pytest.raises(ServingError, match="RestClient: no server answers at") as caught:
        RestClient(f"127.0.0.1:{server.grpc_port}", "toy").status()
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
    """In a process of its own: predict without TensorFlow, import it then, and use both message sets."""
    program = f"""
import sys
from serving.grpc_client import GrpcClient
from serving.rest_client import RestClient
features = {{"user": [2.0], "item": [1.0, 2.0]}}
grpc_client = GrpcClient("127.0.0.1:{server.grpc_port}", "toy")
first = grpc_client.predict(features, signature_name="rank")["score"].tolist()
assert RestClient("127.0.0.1:{server.rest_port}", "toy").predict(features, signature_name="rank")
loaded = [name for name in sys.modules if name.split(".")[0] in ("tensorflow", "tensorflow_serving", "keras")]
assert not loaded, loaded
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
request = predict_pb2.PredictRequest()
request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0]))
assert predict_pb2.PredictRequest.FromString(request.SerializeToString()) == request
assert grpc_client.predict(features, signature_name="rank")["score"].tolist() == first == [2.0, 4.0]
"""
    subprocess.run([sys.executable, "-c", program], check=True)
