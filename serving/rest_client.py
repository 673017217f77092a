"""A client for TF Serving's REST API that does not load TensorFlow."""

import time
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any

from serving.client.connection import Connection
from serving.client.rest_format import HttpCall, RestFormat, read_answer, server_url
from serving.client.sync_client import SyncClient
from serving.client.wire_format import WireFormat
from serving.serving_error import ServingError

_CHUNK_BYTES = 1 << 16


class RestClient(SyncClient):
    """Asks a model server for predictions over REST: TF Serving, or `LocalServer`.

    Every call opens its own connection, directly and through no proxy, so one client may be used by any number of
    threads. It answers the same arrays as `GrpcClient`. Arguments: `BaseClient`; calls: `SyncClient`. The address may
    also be a URL, such as `"https://models.example.org/ranking"`, below which the server's `/v1` is found.

    Example:

        RestClient("127.0.0.1:8501", "census").predict({"age": [39.0], "workclass": ["State-gov"]})
    """

    def _open(self, connection: Connection, model_name: str) -> tuple[WireFormat, Any]:
        return RestFormat(model_name, server_url(connection).path), _Transport(connection)


class _Transport:
    def __init__(self, connection: Connection) -> None:
        url = server_url(connection)
        self._connection = connection
        self._host_and_port = url.netloc
        self._ssl_context = connection.ssl_context() if url.scheme == "https" else None

    def send(self, call: HttpCall, timeout: float) -> dict[str, Any]:
        end = time.monotonic() + timeout
        http = (
            HTTPConnection(self._host_and_port, timeout=timeout)
            if self._ssl_context is None
            else HTTPSConnection(self._host_and_port, timeout=timeout, context=self._ssl_context)
        )
        try:
            http.connect()
            socket = http.sock  # the connection forgets it once the answer begins
            socket.settimeout(_left(end))
            headers = {"Content-Type": "application/json", **self._connection.headers}
            http.request(call.method, call.path, call.body, headers)
            response = http.getresponse()
            parts = []
            # A socket's timeout is for each look at it: the next one must not have the whole time again.
            while True:
                socket.settimeout(_left(end))
                part = response.read1(_CHUNK_BYTES)
                if not part:
                    break
                parts.append(part)
        except TimeoutError:
            raise
        except (OSError, HTTPException) as error:
            raise ServingError("UNAVAILABLE", self._connection.no_server(str(error))) from error
        finally:
            http.close()
        return read_answer(response.status, b"".join(parts), self._connection)

    def close(self) -> None:
        """Nothing is kept."""


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0.0:
        raise TimeoutError
    return left
