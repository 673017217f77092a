"""A client for TF Serving's REST API whose calls are awaited; it does not load TensorFlow."""

from typing import Any

from tfmtl.schema.extras import need_extra

need_extra("AsyncRestClient", "server", "aiohttp")

import aiohttp
from yarl import URL

from tfmtl.serving.client.async_client import AsyncClient
from tfmtl.serving.client.connection import Connection
from tfmtl.serving.client.rest_format import HttpCall, RestFormat, read_answer, server_url
from tfmtl.serving.client.wire_format import WireFormat
from tfmtl.serving.serving_error import ServingError


class AsyncRestClient(AsyncClient):
    """`RestClient` for an event loop; it keeps its connections. Arguments: `BaseClient`; calls: `SyncClient`, awaited.

    Example:

        async with AsyncRestClient("127.0.0.1:8501", "census") as client:
            await client.predict({"age": [39.0], "workclass": ["State-gov"]})
    """

    def _open(self, connection: Connection, model_name: str) -> tuple[WireFormat, Any]:
        return RestFormat(model_name, server_url(connection).path), _Transport(connection)


class _Transport:
    def __init__(self, connection: Connection) -> None:
        url = server_url(connection)
        self._connection = connection
        self._server = f"{url.scheme}://{url.netloc}"
        self._ssl_context = connection.ssl_context() if url.scheme == "https" else None
        self._session: aiohttp.ClientSession | None = None  # to be made inside the loop

    async def send(self, call: HttpCall, timeout: float) -> dict[str, Any]:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self._ssl_context or True))
        try:
            async with self._session.request(
                call.method,
                URL(self._server + call.path, encoded=True),
                data=None if call.body is None else call.body.encode(),
                headers={"Content-Type": "application/json", **self._connection.headers},
                timeout=aiohttp.ClientTimeout(total=timeout),
                allow_redirects=False,  # a model server has none, and the token is for this server alone
            ) as response:
                text = await response.read()
        except TimeoutError:
            raise
        except (OSError, aiohttp.ClientError) as error:
            raise ServingError("UNAVAILABLE", self._connection.no_server(str(error))) from error
        return read_answer(response.status, text, self._connection)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
