"""Ten thousand requests that no honest client sends: each gets its proper status, and the server is as before."""

import base64
import json
import random
import re
import socket
import struct
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from benchmarks.serving.server_process import server_process
from tests.serving.hostile_requests import (
    SIGNATURES,
    HostileJson,
    HostileProtos,
    hostile_http,
    hostile_http2,
    make_proto,
)
from tests.serving.shop_model import export_shop, shop_request

pytestmark = pytest.mark.process

NUM_PROTOS, NUM_BODIES, NUM_SCRIPTS = 5500, 3500, 1000
# Twice what the memory allocator was seen to keep; a leak of 16 KiB a request is more.
MAX_GROWTH_MB = 60
PREDICT = "/tensorflow.serving.PredictionService/Predict"
REFUSALS = {"INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED"}
HTTP_REFUSALS = {400, 404, 413, 501}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A server process, and the model it serves as loaded by TensorFlow alone."""
    base_dir = tmp_path_factory.mktemp("shop")
    exported = export_shop(base_dir, 1)
    with server_process(base_dir, "shop", base_dir / "log", "--read-seconds", "5") as server:
        yield server, Oracle(tf.saved_model.load(str(exported)))
        assert server.process.poll() is None
        assert not re.search("Traceback|Internal error", server.log.read_text())


class Oracle:
    """What TensorFlow makes of a request, with no code of the server."""

    def __init__(self, saved_model):
        self._saved_model = saved_model

    def answer(self, signature_name, tensors):
        function = self._saved_model.signatures[signature_name or "serving_default"]
        return {name: value.numpy() for name, value in function(**tensors).items()}

    def answer_proto(self, body):
        request = predict_pb2.PredictRequest.FromString(body)
        tensors = {
            name: tf.io.parse_tensor(tensor.SerializeToString(), tensor.dtype)
            for name, tensor in request.inputs.items()
        }
        outputs = self.answer(request.model_spec.signature_name, tensors)
        return {name: outputs[name] for name in request.output_filter or outputs}

    def answer_json(self, body):
        request = json.loads(body)
        signature = self._saved_model.signatures[request.get("signature_name") or "serving_default"]
        inputs = request.get("inputs")
        names = sorted(signature.structured_input_signature[1])
        if inputs is None:
            rows = [
                row if isinstance(row, dict) and set(row) != {"b64"} else {names[0]: row}
                for row in request["instances"]
            ]
            inputs = {name: [row[name] for row in rows] for name in names}
        elif not isinstance(inputs, dict):
            inputs = {names[0]: inputs}
        tensors = {
            name: tf.constant(_to_numpy(inputs[name], spec.dtype.as_numpy_dtype), spec.dtype)
            for name, spec in signature.structured_input_signature[1].items()
        }
        return {name: value.numpy() for name, value in signature(**tensors).items()}


def _to_numpy(value, dtype):
    if dtype is not object:
        return np.array(value, dtype)
    shape = np.array(value, object).shape
    flat = []

    def collect(each):
        if isinstance(each, list):
            for inner in each:
                collect(inner)
        else:
            flat.append(each.encode("utf-8", "surrogatepass") if isinstance(each, str) else _from_base64(each))

    collect(value)
    array = np.empty(len(flat), object)
    array[:] = flat
    return array.reshape(shape)


def _from_base64(value):
    return base64.b64decode(value["b64"])


def assert_equal(outputs, expected):
    assert set(outputs) == set(expected)
    for name, array in outputs.items():
        np.testing.assert_array_equal(np.asarray(array, expected[name].dtype), expected[name])


class TestProtos:
    def test_every_message_is_answered_right_or_refused_with_the_cause(self, shop):
        server, oracle = shop
        protos = HostileProtos(0)
        honest = random.Random(1)
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        codes = Counter()
        with grpc.insecure_channel(server.grpc_address, options) as channel:
            predict = channel.unary_unary(PREDICT)
            before = None
            for start in range(0, NUM_PROTOS, 50):
                batch = [protos.make() for _ in range(50)]
                name = honest.choice(SIGNATURES)
                right = make_proto(shop_request(honest, name), name).SerializeToString()
                calls = [predict.future(each.body, timeout=60) for each in batch]
                right_call = predict.future(right, timeout=60)
                for hostile, call in zip(batch, calls, strict=True):
                    codes[check_call(oracle, hostile, call)] += 1
                assert_equal(read_response(right_call.result()), oracle.answer_proto(right))
                if start == 1000:  # by now every kind of request has been seen
                    before = server.resources()
        after = server.resources()
        assert codes["OK"] > NUM_PROTOS / 10 and codes["INVALID_ARGUMENT"] > NUM_PROTOS / 10, codes
        assert_flat(before, after)


def check_call(oracle, hostile, call):
    code = call.code().name
    if code == "OK":
        assert hostile.word in ("", "ok"), hostile
        assert_equal(read_response(call.result()), oracle.answer_proto(hostile.body))
    else:
        assert code in REFUSALS, (code, call.details(), hostile)
        assert hostile.word != "ok" and hostile.word in call.details(), (call.details(), hostile)
        assert call.details()
    return code


def read_response(body):
    response = predict_pb2.PredictResponse.FromString(body)
    return {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}


def assert_flat(before, after, max_growth_mb=MAX_GROWTH_MB):
    """The server holds what it held before, up to some memory and a few descriptors and threads."""
    assert after.megabytes - before.megabytes < max_growth_mb, (before, after)
    assert after.descriptors - before.descriptors <= 4, (before, after)
    assert after.threads - before.threads <= 4, (before, after)


class TestJson:
    def test_every_body_is_answered_right_or_refused_with_the_cause(self, shop):
        server, oracle = shop
        bodies = HostileJson(0)
        statuses = Counter()
        connection = HTTPConnection("127.0.0.1", server.rest_port, timeout=60)
        honest = json.dumps({"signature_name": "echo", "inputs": ["a"]}).encode()
        for index in range(NUM_BODIES):
            hostile = bodies.make()
            status, answer = post(connection, hostile.body)
            statuses[status] += 1
            if status == 200:
                assert not hostile.word, hostile
                check_answer(oracle, hostile.body, answer)
            else:
                assert status in HTTP_REFUSALS and set(answer) == {"error"}, (status, answer, hostile)
                assert any(word in answer["error"] for word in hostile.word.split("|")), (answer, hostile)
            if index % 50 == 0:
                assert post(connection, honest) == (200, {"outputs": [{"b64": "YQ=="}]})
            if index == 1000:
                before = server.resources()
        assert statuses[200] > NUM_BODIES / 20 and statuses[400] > NUM_BODIES / 3, statuses
        assert_flat(before, server.resources())
        connection.close()


def post(connection, body, **headers):
    connection.request("POST", "/v1/models/shop:predict", body, headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def check_answer(oracle, body, answer):
    expected = oracle.answer_json(body)
    if "predictions" in answer:
        rows = [row if isinstance(row, dict) and set(row) == set(expected) else None for row in answer["predictions"]]
        outputs = (
            {next(iter(expected)): answer["predictions"]}
            if None in rows
            else {name: [row[name] for row in rows] for name in expected}
        )
    else:
        outputs = answer["outputs"]
        if not isinstance(outputs, dict) or set(outputs) != set(expected):
            outputs = {next(iter(expected)): outputs}
    for name, array in expected.items():
        if array.dtype == object:
            assert [_from_base64(each) for each in outputs[name]] == array.tolist()
        else:
            np.testing.assert_array_equal(np.asarray(outputs[name], array.dtype), array)


class TestSockets:
    @pytest.mark.parametrize("make", [hostile_http, hostile_http2])
    def test_bytes_that_break_the_protocol_do_no_harm(self, shop, make):
        server, _ = shop
        rng = random.Random(0)
        port = server.rest_port if make is hostile_http else server.grpc_port
        scripts = [(make(rng), rng.randrange(4)) for _ in range(NUM_SCRIPTS // 2)]
        with ThreadPoolExecutor(8) as pool:
            received = list(pool.map(lambda script: play(port, *script), scripts))
        if make is hostile_http:
            statuses = Counter(int(each[9:12]) for each in received if each)
            assert set(statuses) <= {200, 100, 101, 400, 404, 408, 413, 501} and statuses[400] > 20, statuses
            assert all(each.startswith(b"HTTP/1.") for each in received if each)
        assert_honest_answers(server)


def play(port, script, ending):
    """Sends the bytes, ends the connection in one of four ways, and returns what came back until then."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        try:
            connection.sendall(script)
            if ending == 0:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
                return b""
            if ending == 1:
                return b""
            if ending == 2:
                connection.shutdown(socket.SHUT_WR)
            connection.settimeout(0.05)
            return connection.recv(1 << 16)
        except OSError:
            return b""


def assert_honest_answers(server):
    connection = HTTPConnection("127.0.0.1", server.rest_port, timeout=60)
    body = json.dumps({"signature_name": "echo", "inputs": ["a", "b"]}).encode()
    assert post(connection, body) == (200, {"outputs": [{"b64": "YQ=="}, {"b64": "Yg=="}]})
    connection.close()
    with grpc.insecure_channel(server.grpc_address) as channel:
        request = make_proto({"payload": np.array([b"a", b"b"], object)}, "echo")
        response = channel.unary_unary(PREDICT)(request.SerializeToString(), timeout=60)
    assert read_response(response)["text_bytes"].tolist() == [b"a", b"b"]
