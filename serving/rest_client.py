"""A client for TF Serving's REST API that does not load TensorFlow."""

import time
from typing import Any

import urllib3

from tfmtl.serving.client.connection import Connection
from tfmtl.serving.client.rest_format import HttpCall, RestFormat, read_answer, server_url
from tfmtl.serving.client.sync_client import SyncClient
from tfmtl.serving.client.wire_format import WireFormat
from tfmtl.serving.serving_error import ServingError

_CHUNK_BYTES = 1 << 16
_MOST_IDLE = 64  # connections that are kept for the next calls


class RestClient(SyncClient):
    """Asks a model server for predictions over REST: TF Serving, or `LocalServer`.

    Connections are kept and used again, each by one thread at a time, so any number of threads may use one client.
    They are opened directly, through no proxy. It answers the same arrays as `GrpcClient`. Arguments: `BaseClient`;
    calls: `SyncClient`. The address may also be a URL, such as `"https://models.example.org/ranking"`, below which the
    server's `/v1` is found.

    Example:

        with RestClient("127.0.0.1:8501", "census") as client:
            client.predict({"age": [39.0], "workclass": ["State-gov"]})
    """

    def _open(self, connection: Connection, model_name: str) -> tuple[WireFormat, Any]:
        return RestFormat(model_name, server_url(connection).path), _Transport(connection)


class _Transport:
    def __init__(self, connection: Connection) -> None:
        url = server_url(connection)
        self._connection = connection
        self._pool: urllib3.HTTPConnectionPool
        if url.scheme == "https":
            context = connection.ssl_context()
            self._pool = urllib3.HTTPSConnectionPool(
                str(url.hostname), url.port, maxsize=_MOST_IDLE, ssl_context=context
            )
        else:
            self._pool = urllib3.HTTPConnectionPool(str(url.hostname), url.port, maxsize=_MOST_IDLE)

    def send(self, call: HttpCall, timeout: float) -> dict[str, Any]:
        end = time.monotonic() + timeout
        try:
            response = self._pool.urlopen(
                call.method,
                call.path,
                body=None if call.body is None else call.body.encode(),
                headers={"Content-Type": "application/json", **self._connection.headers},
                timeout=urllib3.Timeout(total=timeout),
                retries=False,  # they are the client's
                redirect=False,  # a model server has none, and the token is for this server alone
                preload_content=False,
            )
            text = _read_until(response, end)
        except (OSError, urllib3.exceptions.HTTPError) as error:
            is_late = isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError)
            if is_late and not isinstance(error, urllib3.exceptions.NewConnectionError):  # which is one too
                raise TimeoutError from error
            raise ServingError("UNAVAILABLE", self._connection.no_server(str(error))) from error
        return read_answer(response.status, text, self._connection)

    def close(self) -> None:
        self._pool.close()


def _read_until(response: urllib3.BaseHTTPResponse, end: float) -> bytes:
    """Reads the answer and lets its connection be used again; raises `TimeoutError` where that takes too long."""
    parts = []
    try:
        # A socket's timeout is for each look at it: the next one must not have the whole time again.
        while True:
            left = end - time.monotonic()
            if left <= 0.0:
                raise TimeoutError
            socket = getattr(response.connection, "sock", None)
            if socket is not None:
                socket.settimeout(left)
            part = response.read1(_CHUNK_BYTES)
            if not part:
                break
            parts.append(part)
    except BaseException:
        response.close()  # the rest is not read
        raise
    response.release_conn()
    return b"".join(parts)
