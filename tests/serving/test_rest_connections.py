"""Which connections the REST client opens, and which it uses again."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tfmtl.serving.client.retries import Retries
from tfmtl.serving.rest_client import RestClient
from tfmtl.serving.serving_error import ServingError

pytestmark = pytest.mark.process

STATUS = {"model_version_status": [{"version": "3", "state": "AVAILABLE", "status": {}}]}


class Handler(BaseHTTPRequestHandler):
    """Answers with the server's number of connections so far; some answers are odd."""

    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.server.opened += 1

    def do_GET(self):
        odd = self.server.odd.pop(0) if self.server.odd else ""
        if odd == "close":
            self.close_connection = True
            return
        body = json.dumps(STATUS).encode()
        self.send_response(302 if odd == "elsewhere" else 200)
        if odd == "elsewhere":
            self.send_header("Location", "http://127.0.0.1:1/")
        self.send_header("Content-Length", str(len(body) + (1 if odd == "cut" else 0)))
        if odd == "last":
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = odd in ("cut", "last")

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.opened, server.odd, server.daemon_threads = 0, [], True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client(server):
    with RestClient(f"127.0.0.1:{server.server_port}", "toy", timeout=30, retries=Retries(3, 0.0)) as client:
        yield client


def test_one_connection_is_enough_for_many_calls(client, server):
    for _ in range(20):
        assert client.status()[0].version == 3
    assert server.opened == 1


def test_each_thread_at_work_has_one(client, server):
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: client.status(), range(40)))
    assert server.opened <= 4


@pytest.mark.parametrize("odd", ["close", "last", "cut"])
def test_a_connection_that_ends_is_replaced(client, server, odd):
    client.status()
    server.odd += [odd]
    assert client.status()[0].version == client.status()[0].version == 3
    assert server.opened == 2


def test_a_server_that_went_away_is_unavailable_and_its_successor_is_found(client, server):
    client.status()
    server.odd += ["close"] * 3
    with pytest.raises(ServingError, match="UNAVAILABLE: RestClient: no server answers at 127"):
        client.status()
    assert client.status()[0].version == 3


def test_it_goes_nowhere_else(client, server):
    server.odd += ["elsewhere"]
    with pytest.raises(ServingError, match="UNKNOWN"):
        client.status()
