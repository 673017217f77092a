"""What a server holds stays what it is: large bodies, packed bombs, a crowd, versions that come and go, a full disk."""

import gzip
import json
import random
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection

import grpc
import numpy as np
import pytest
import tensorflow as tf

from benchmarks.serving.crowd import Case, Crowd
from benchmarks.serving.server_process import Resources, server_process
from tests.serving.shop_model import export_shop, shop_request
from tests.serving.test_fuzz import PREDICT, assert_flat, make_proto
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.rest_client import RestClient
from tfmtl.serving.serving_error import ServingError

pytestmark = pytest.mark.process

HUNDRED_MB = 100 * 2**20


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return export_shop(tmp_path_factory.mktemp("shop"), 1)


@pytest.fixture(scope="module")
def server(exported):
    base_dir = exported.parent
    with server_process(
        base_dir, "shop", base_dir / "log", "--poll-seconds", "0.05", "--max-connections", "300"
    ) as server:
        yield server
        assert server.process.poll() is None
        assert "Traceback" not in (log := server.log.read_text()), log


def post(server, body, **headers):
    return request_over_rest(server, "/v1/models/shop:predict", body, **headers)


def request_over_rest(server, path, body, **headers):
    """Status and answer of a POST."""
    connection = HTTPConnection("127.0.0.1", server.rest_port, timeout=60)
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def check_flat(server, ask, max_growth_mb):
    """Asks twice for the memory allocator to settle, then three times more, after which the server holds no more.

    One message may still be on its way out, so it has some seconds.
    """
    for _ in range(2):
        ask()
    before = server.resources()
    for _ in range(3):
        ask()
    limit = before.megabytes + max_growth_mb
    give_up = time.monotonic() + 10
    while server.resources().megabytes > limit and time.monotonic() < give_up:
        time.sleep(0.1)
    assert_flat(before, server.resources(), max_growth_mb)


class TestLargeBodies:
    def test_a_rest_body_of_100_mb(self, server):
        body = b" " * HUNDRED_MB

        def ask():
            status, answer = post(server, body)
            assert status == 413 and "Received: 104857600 bytes" in answer["error"]

        check_flat(server, ask, max_growth_mb=140)

    def test_a_rest_body_of_100_mb_in_chunks_that_never_said_so(self, server):
        chunks = [b" " * 2**20] * 100

        def ask():
            try:
                status, answer = post(server, iter(chunks))
                assert status == 413 and "Received: more" in answer["error"]
            except ConnectionError:  # it was refused while the client still sent
                pass

        check_flat(server, ask, max_growth_mb=140)

    def test_a_grpc_message_of_100_mb(self, server):
        body = b"\x0a\x04" + b"\x00" * HUNDRED_MB
        options = [("grpc.max_send_message_length", -1)]

        def ask():
            with grpc.insecure_channel(server.grpc_address, options) as channel, pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(PREDICT)(body, timeout=60)
            assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "larger than max (104857602 vs. 33554432)" in caught.value.details()

        check_flat(server, ask, max_growth_mb=140)

    def test_packed_bombs(self, server):
        """1.3 MB that unpack to 300 MB."""
        bomb = gzip.compress(b" " * (3 * HUNDRED_MB), 1)

        def ask():
            status, answer = post(server, bomb, **{"Content-Encoding": "gzip"})
            assert status == 413 and "The unpacked body must not exceed" in answer["error"]

        check_flat(server, ask, max_growth_mb=90)

    def test_packed_bombs_over_grpc(self, server):
        """300 MB of which the server unpacks 128, and then gives them back to the system: three kept would be 384."""
        body = b"\x0a\x04" + b"\x00" * (3 * HUNDRED_MB)
        options = [("grpc.max_send_message_length", -1)]

        def ask():
            with grpc.insecure_channel(server.grpc_address, options) as channel, pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(PREDICT)(body, timeout=60, compression=grpc.Compression.Gzip)
            assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED

        check_flat(server, ask, max_growth_mb=140)


def test_200_clients_at_once(server, exported):
    loaded = tf.saved_model.load(str(exported))
    rng = random.Random(0)
    cases = []
    for name in ("serving_default", "rank"):
        for _ in range(10):
            features = shop_request(rng, name)
            outputs = loaded.signatures[name](**{key: tf.constant(value) for key, value in features.items()})
            cases.append(Case(features, {key: value.numpy() for key, value in outputs.items()}, name))
    crowd = Crowd(server.grpc_address, server.rest_address, "shop", cases)
    crowd.ask_for(1.0, 200)
    before = server.resources()
    crowd.ask_for(2.5, 200)
    time.sleep(0.5)
    assert set(crowd.statuses) == {"OK", "200"}, crowd.statuses
    assert min(crowd.statuses.values()) > 200
    assert crowd.wrong == []
    assert_flat(before, server.resources())


def test_versions_that_come_and_go(server, exported):
    """Each is loaded, asked and removed; tests/serving/test_model_memory.py has large ones."""

    def swap(version):
        unfinished = shutil.copytree(exported, exported.parent / "unfinished")
        path = unfinished.rename(exported.parent / str(version))
        with GrpcClient(server.grpc_address, "shop") as client:
            wait_until(lambda: client.status()[0].version == version and client.status()[0].state == "AVAILABLE")
            client.predict({"payload": ["a"]}, signature_name="echo", version=version)
            shutil.rmtree(path)
            wait_until(lambda: client.status(version=version)[0].state == "END")

    for version in range(2, 7):
        swap(version)
    before = server.resources()
    for version in range(7, 13):
        swap(version)
    assert_flat(before, server.resources(), max_growth_mb=40)


def test_descriptors_that_run_out_are_a_line_and_no_traceback(server):
    """And the server is there again when they are back."""
    pid = server.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    in_use = server.resources().descriptors
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (in_use + 20, limits[1]))
    crowd = []
    try:
        for _ in range(60):
            crowd.append(socket.create_connection(("127.0.0.1", server.rest_port), timeout=20))
        wait_until(lambda: "A connection cannot be taken: Too many open files." in server.log.read_text())
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        for connection in crowd:
            connection.close()
    wait_until(lambda: post(server, b"{}")[0] == 400)
    log = server.log.read_text()
    assert log.count("A connection cannot be taken") <= 3 and "Traceback" not in log


def wait_until(condition):
    give_up = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up, "waited a minute in vain"
        time.sleep(0.02)


def test_a_log_on_a_full_disk_does_not_end_the_server(exported):
    ports = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ports.append(str(listener.getsockname()[1]))
    command = [sys.executable, "-m", "tfmtl.serving.serve", exported.parent, "--model-name", "shop"]
    with open("/dev/full", "w") as full:
        process = subprocess.Popen(
            [*command, "--grpc-port", ports[0], "--rest-port", ports[1]], stdout=full, stderr=full
        )
    try:
        client = RestClient(f"127.0.0.1:{ports[1]}", "shop")

        def is_answered():
            assert process.poll() is None
            try:
                return client.predict({"payload": ["a"]}, signature_name="echo")
            except ServingError:
                return False

        wait_until(is_answered)
        with socket.create_connection(("127.0.0.1", int(ports[1]))) as connection:
            connection.sendall(b"GET / HTTP/9.9\r\n\r\n")  # is logged
            assert connection.recv(100).startswith(b"HTTP/1.0 400")
        assert is_answered()
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


class TestTheMeasureItself:
    """What `assert_flat` says is worth something only if it fails where something leaks."""

    def test_a_leak_of_16_kib_a_request_is_seen(self):
        program = "input(); held = [bytes(16_384) for _ in range(5000)]; print(1, flush=True); input()"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        process = subprocess.Popen([sys.executable, "-c", program], **pipes)
        try:
            time.sleep(0.2)
            before = Resources.of(process.pid)
            process.stdin.write("\n")
            process.stdin.flush()
            process.stdout.readline()
            with pytest.raises(AssertionError, match="megabytes"):
                assert_flat(before, Resources.of(process.pid))
        finally:
            process.kill()
            process.communicate()

    def test_open_sockets_and_threads_are_seen(self):
        import os

        before = Resources.of(os.getpid())
        sockets = [socket.socket() for _ in range(6)]
        with pytest.raises(AssertionError, match="descriptors"):
            assert_flat(before, Resources.of(os.getpid()))
        for each in sockets:
            each.close()
        stop = threading.Event()
        threads = [threading.Thread(target=stop.wait) for _ in range(6)]
        for thread in threads:
            thread.start()
        with pytest.raises(AssertionError, match="threads"):
            assert_flat(before, Resources.of(os.getpid()))
        stop.set()
        for thread in threads:
            thread.join()


def test_the_answers_of_a_crowd_are_compared(server):
    """A case whose expected answer is wrong is found, over both protocols."""
    case = Case({"payload": np.array([b"a"], object)}, {"text_bytes": np.array([0.5], np.float32)}, "echo")
    right = Case(shop_request(random.Random(0)), {"click": np.array([9.0], np.float32)})
    crowd = Crowd(server.grpc_address, server.rest_address, "shop", [right])
    crowd.ask_for(0.2, 2)
    assert len(crowd.wrong) == sum(crowd.statuses.values()) > 1
    assert case.signature_name == "echo" and "instead of [9.0]" in crowd.wrong[0]
    assert make_proto(case.features, "echo").inputs["payload"].string_val == [b"a"]
