"""SIGTERM under load: what was accepted is answered, what comes later is refused, and the process ends well."""

import json
import signal
import socket
import threading
import time
from collections import Counter
from http.client import HTTPConnection, HTTPException

import grpc
import numpy as np
import pytest

from benchmarks.serving.server_process import server_process
from tests.serving.shop_model import export_shop
from tests.serving.test_fuzz import PREDICT, make_proto, read_response

pytestmark = pytest.mark.process

ROUNDS = 100_000  # takes about half a second
SPIN = {"rounds": np.array([ROUNDS], np.int64)}
ECHO = make_proto({"payload": np.array([b"a"], object)}, "echo").SerializeToString()
ECHO_BODY = json.dumps({"signature_name": "echo", "inputs": ["a"]}).encode()


@pytest.fixture
def server(tmp_path):
    export_shop(tmp_path, 1)
    with server_process(tmp_path, "shop", tmp_path / "log") as server:
        yield server


def post(port, body, timeout=60):
    connection = HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("POST", "/v1/models/shop:predict", body)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_sigterm_under_load_answers_what_was_accepted(server):
    outcomes = Counter()
    stop = threading.Event()

    def ask_grpc():
        with grpc.insecure_channel(server.grpc_address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            predict = channel.unary_unary(PREDICT)
            while not stop.is_set():
                try:
                    answer = read_response(predict(ECHO, timeout=60))["text_bytes"].tolist()
                    outcomes["right" if answer == [b"a"] else "wrong"] += 1
                except grpc.RpcError as error:
                    outcomes[error.code().name] += 1

    def ask_rest():
        connection = HTTPConnection("127.0.0.1", server.rest_port, timeout=60)
        while not stop.is_set():
            try:
                connection.request("POST", "/v1/models/shop:predict", ECHO_BODY)
                response = connection.getresponse()
                answer = json.loads(response.read())
            except (OSError, HTTPException):  # nobody listens, or the idle connection was closed
                connection.close()
                outcomes["UNAVAILABLE"] += 1
                continue
            if response.status == 503:
                assert "The server is stopping" in answer["error"]
                outcomes["UNAVAILABLE"] += 1
            else:
                outcomes["right" if answer == {"outputs": [{"b64": "YQ=="}]} else "wrong"] += 1

    slow = {}

    def ask_slowly_over_grpc():
        with grpc.insecure_channel(server.grpc_address) as channel:
            body = make_proto(SPIN, "spin").SerializeToString()
            slow["grpc"] = read_response(channel.unary_unary(PREDICT)(body, timeout=60))["rounds"].tolist()

    def ask_slowly_over_rest():
        slow["rest"] = post(server.rest_port, json.dumps({"signature_name": "spin", "inputs": [ROUNDS]}))

    def upload_slowly():
        """Half of the body comes when the server already stops."""
        with socket.create_connection(("127.0.0.1", server.rest_port), timeout=60) as connection:
            connection.sendall(b"POST /v1/models/shop:predict HTTP/1.1\r\nHost: localhost\r\n")
            connection.sendall(b"Content-Length: %d\r\n\r\n" % len(ECHO_BODY) + ECHO_BODY[:10])
            assert stopping.wait(60)
            time.sleep(0.3)
            connection.sendall(ECHO_BODY[10:])
            slow["upload"] = connection.recv(1000)[:15]

    stopping = threading.Event()
    crowd = [threading.Thread(target=ask) for ask in (ask_grpc, ask_rest) * 3]
    slow_ones = [threading.Thread(target=ask) for ask in (ask_slowly_over_grpc, ask_slowly_over_rest, upload_slowly)]
    for thread in crowd:
        thread.start()
    time.sleep(0.5)
    for thread in slow_ones:
        thread.start()
    time.sleep(0.2)
    before = outcomes.copy()
    server.process.send_signal(signal.SIGTERM)
    stopping.set()
    assert server.process.wait(60) == 0
    stop.set()
    for thread in (*crowd, *slow_ones):
        thread.join(60)
    assert set(before) == {"right"} and before["right"] > 0
    # gRPC itself cancels a call that reaches it in its last moment, before any handler sees it.
    assert set(outcomes) - {"CANCELLED"} == {"right", "UNAVAILABLE"} and outcomes["CANCELLED"] <= 3, outcomes
    assert slow == {
        "grpc": [ROUNDS],
        "rest": (200, {"outputs": [ROUNDS]}),
        "upload": b"HTTP/1.1 200 OK",
    }
    assert "Traceback" not in server.log.read_text()
