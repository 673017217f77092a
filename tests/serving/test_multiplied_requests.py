"""Small requests that stand for large ones: packed, nested, multiplied. Each is refused, and the memory stays."""

import gzip
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from tensorflow_serving.apis import classification_pb2, inference_pb2, predict_pb2

from benchmarks.serving.server_process import server_process
from tests.serving.test_resources import request_over_rest
from tests.serving.toy_models import example
from tfmtl.serving.server.message_size import is_small_when_parsed

pytestmark = pytest.mark.process

MOST = 16 * 2**20
# Twice the largest message, as it came and unpacked, its values, and what the allocator keeps of them.
MAX_PEAK_MB = 250
SERVICE = "/tensorflow.serving.PredictionService/"
REFUSALS = {"RESOURCE_EXHAUSTED", "INVALID_ARGUMENT", "FAILED_PRECONDITION"}


@pytest.fixture(scope="module")
def server(exported):
    with server_process(exported.parent, "toy", exported.parent / "log", "--poll-seconds", "60") as server:
        ask(server, b"{}" + b" " * 100_000)  # starts the process that reads large bodies
        yield server
        assert server.process.poll() is None
        assert "Traceback" not in (log := server.log.read_text()), log


@pytest.fixture(autouse=True)
def bounded_peak(server):
    """What the server and its processes take at most while a test asks."""
    folders = [Path(f"/proc/{pid}") for pid in processes(server.process.pid)]
    before = sum(peak_megabytes(folder, reset=True) for folder in folders)
    yield
    assert len(processes(server.process.pid)) == len(folders)
    grown = sum(peak_megabytes(folder) for folder in folders if folder.exists()) - before
    assert grown < MAX_PEAK_MB, f"{grown:.0f} MB"


def processes(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *sorted(map(int, children))]


def peak_megabytes(folder, reset=False):
    """The highest resident memory, after `reset` the present one."""
    if reset:
        (folder / "clear_refs").write_text("5")
    lines = (folder / "status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def ask(server, body, method="predict", packed=False):
    headers = {"Content-Encoding": "gzip"} if packed else {}
    return request_over_rest(server, f"/v1/models/toy:{method}", gzip.compress(body, 1) if packed else body, **headers)


def ask_grpc(server, method, body, packed=False):
    """Name of the status and the message."""
    options = [("grpc.max_send_message_length", -1)]
    compression = grpc.Compression.Gzip if packed else None
    with grpc.insecure_channel(server.grpc_address, options) as channel:
        try:
            channel.unary_unary(SERVICE + method)(body, timeout=120, compression=compression)
        except grpc.RpcError as error:
            return error.code().name, error.details()
    return "OK", ""


class TestRest:
    @pytest.mark.parametrize("rows", [9000, 20_000])
    def test_a_context_copied_into_every_example(self, server, rows):
        body = {"signature_name": "classify", "context": {"x": "a" * 1_000_000}, "examples": [{}] * rows}
        status, answer = ask(server, json.dumps(body).encode(), "classify", packed=True)
        assert status == 413, answer
        limit = "10000 rows" if rows > 10_000 else "each with the context, must not exceed 16777216 bytes"
        assert limit in answer["error"]

    @pytest.mark.parametrize("value", [b"[]", b"{}", b'{"a":1}', b"1.5", b'""', b"[[[]]]"])
    def test_millions_of_values(self, server, value):
        """Of 58 kB in all; they would take gigabytes."""
        body = b'{"instances": [' + b",".join([value] * (MOST // (len(value) + 1) - 10)) + b"]}"
        status, answer = ask(server, body, packed=True)
        assert status == 413 and "must not hold more than 1048576 values" in answer["error"]

    def test_as_many_values_as_may_be(self, server):
        body = b'{"signature_name": "pick", "inputs": [' + b"[]," * 500_000 + b"[]]}"
        status, answer = ask(server, body, packed=True)
        assert status == 413 and "must not exceed 10000 rows" in answer["error"]

    def test_lists_in_lists(self, server):
        status, answer = ask(server, b'{"instances": ' + b"[" * 900_000, packed=True)
        assert status == 400 and "recursion" in answer["error"]


def message(field, content):
    """A field of a protobuf message, written by hand."""
    size, length = b"", len(content)
    while length >= 128:
        size += bytes([length % 128 + 128])
        length //= 128
    return bytes([field << 3 | 2]) + size + bytes([length]) + content


def tensor(content):
    """A Predict request with this tensor."""
    spec = message(1, message(1, b"toy") + message(3, b"lone"))
    return spec + message(2, message(1, b"x") + message(2, content))


BOMBS = {
    "sizes": tensor(message(2, b"\x12\x00" * (MOST // 2 - 100))),
    "empty text": tensor(b"\x42\x00" * (MOST // 2 - 100)),
    "small numbers": tensor(message(10, b"\x01" * (MOST - 1000))),
    "numbers in parts": tensor(b"\x52\x01\x01" * (MOST // 3 - 100)),
    "inputs": b"\x12\x00" * (MOST // 2),
    "outputs": b"\x1a\x00" * (MOST // 2),
    "tensors in tensors": tensor(message(15, b"\x1a\x00" * (MOST // 2 - 100))),
    "behind a group": tensor(b"\x7b\x7c" + message(2, b"\x12\x00" * (MOST // 2 - 100))),
}


class TestGrpc:
    @pytest.mark.parametrize("name", BOMBS)
    def test_few_bytes_for_a_value_that_takes_many(self, server, name):
        code, text = ask_grpc(server, "Predict", BOMBS[name], packed=True)
        assert code == "RESOURCE_EXHAUSTED" and "bytes that stand for more" in text

    @pytest.mark.parametrize("method", ["Classify", "Regress", "MultiInference"])
    def test_millions_of_examples(self, server, method):
        body = message(2, message(1, b"\x0a\x00" * (MOST // 2 - 100)))
        code, text = ask_grpc(server, method, body, packed=True)
        assert code == "RESOURCE_EXHAUSTED" and "bytes that stand for more" in text

    def test_a_context_copied_into_every_example(self, server):
        request = classification_pb2.ClassificationRequest()
        request.model_spec.name, request.model_spec.signature_name = "toy", "classify"
        source = request.input.example_list_with_context
        source.context.features.feature["x"].bytes_list.value.append(b"a" * 100_000)
        for _ in range(5000):
            source.examples.add()
        code, text = ask_grpc(server, "Classify", request.SerializeToString(), packed=True)
        assert code == "RESOURCE_EXHAUSTED" and "of context in each of 5000" in text
        for _ in range(5001):
            source.examples.add()
        assert "must not exceed 10000 rows" in ask_grpc(server, "Classify", request.SerializeToString())[1]

    def test_one_signature_asked_again_and_again(self, server):
        request = inference_pb2.MultiInferenceRequest()
        for _ in range(3000):
            task = request.tasks.add(method_name="tensorflow/serving/regress")
            task.model_spec.name, task.model_spec.signature_name = "toy", "regress"
        for _ in range(5000):
            request.input.example_list.examples.add().ParseFromString(example(1.0))
        code, text = ask_grpc(server, "MultiInference", request.SerializeToString())
        assert (code, text) == ("INVALID_ARGUMENT", "Duplicate evaluation of signature: 'regress'.")


def test_random_multiples(server):
    """Whatever is repeated, in whatever, packed or not, it is answered with a status of its own."""
    rng = random.Random(5)
    for _ in range(12):
        part = rng.choice([b"\x42\x00", b"\x12\x00", b"\x52\x01\x01", b"\x2d\x00\x00\x00\x00", rng.randbytes(3)])
        for _ in range(rng.randrange(3)):
            part = message(rng.choice([2, 8, 15]), part * rng.choice([1, 10, 1000]))
        body = tensor(part * min(rng.choice([10, 10_000, 10**7]), MOST // len(part) - 20))
        assert ask_grpc(server, rng.choice(["Predict", "Classify"]), body, packed=True)[0] in REFUSALS
        text = rng.choice([b"[]", b"{}", b"0", b'"a"', b'{"x":[1,2]}'])
        for _ in range(rng.randrange(3)):
            text = b"[" + b",".join([text] * rng.choice([1, 10, 1000])) + b"]"
        count = max(1, min(rng.choice([1, 10_000, 10**7]), MOST // (len(text) + 1) - 20))
        key = rng.choice([b"instances", b"inputs", b"examples"])
        body = b'{"signature_name": "lone", "' + key + b'": [' + b",".join([text] * count) + b"]}"
        status, _ = ask(server, body, rng.choice(["predict", "regress"]), packed=rng.random() < 0.5)
        assert status in (200, 400, 413)


class TestSizeOfMessages:
    @pytest.mark.parametrize("name", BOMBS)
    def test_what_is_not_multiplied_is_small(self, name):
        descriptor = predict_pb2.PredictRequest.DESCRIPTOR
        assert not is_small_when_parsed(BOMBS[name], descriptor, MOST)
        assert is_small_when_parsed(BOMBS[name][: MOST // 100], descriptor, MOST)

    def test_an_honest_large_request_is_small(self):
        request = predict_pb2.PredictRequest()
        for column in range(20):
            request.inputs[f"text{column}"].string_val.extend([b"some text"] * 10_000)
            request.inputs[f"number{column}"].int64_val.extend([10**9] * 10_000)
            request.inputs[f"float{column}"].float_val.extend([0.5] * 10_000)
        assert is_small_when_parsed(request.SerializeToString(), predict_pb2.PredictRequest.DESCRIPTOR, MOST)

    def test_bytes_that_are_no_message_are_left_to_the_parser(self):
        rng = random.Random(0)
        for _ in range(200):
            assert is_small_when_parsed(os.urandom(rng.randrange(50)), predict_pb2.PredictRequest.DESCRIPTOR, 2000) in (
                True,
                False,
            )


def test_what_reads_large_bodies_loads_no_tensorflow():
    """It is started in the middle of requests, and takes no more memory than a body needs."""
    program = (
        "import sys, tfmtl.serving.server.body_process; print([n for n in sys.modules if n.startswith('tensorflow')])"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"


def test_a_reading_process_that_ends_is_replaced(server):
    """Killed while nobody asks, for want of memory say, it costs one request."""
    (reader,) = processes(server.process.pid)[1:]
    os.kill(reader, 9)
    body = b'{"signature_name": "lone", "inputs": [' + b"1.0, " * 9000 + b"1.0" + b" " * 100_000 + b"]}"
    statuses = [ask(server, body)[0] for _ in range(3)]
    assert statuses[-2:] == [200, 200] and statuses[0] in (200, 503)
