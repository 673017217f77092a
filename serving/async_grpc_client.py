"""A client for TF Serving's gRPC API whose calls are awaited; it does not load TensorFlow."""

from typing import Any

import grpc
import grpc.aio

from tfmtl.serving.client.async_client import AsyncClient
from tfmtl.serving.client.connection import Connection
from tfmtl.serving.client.grpc_channel import call_error, open_channel, start_call
from tfmtl.serving.client.grpc_format import GrpcCall, GrpcFormat
from tfmtl.serving.client.wire_format import WireFormat


class AsyncGrpcClient(AsyncClient):
    """`GrpcClient` for an event loop. Arguments: `BaseClient`; calls: `SyncClient`, awaited.

    Example:

        async with AsyncGrpcClient("127.0.0.1:8500", "census") as client:
            await client.predict([{"age": 39, "workclass": "State-gov"}])
    """

    def _open(self, connection: Connection, model_name: str) -> tuple[WireFormat, Any]:
        return GrpcFormat(model_name), _Transport(connection)


class _Transport:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._channel: Any = None  # it would bind itself to the loop that runs when it is made

    async def send(self, call: GrpcCall, timeout: float) -> Any:
        if self._channel is None:
            self._channel = open_channel(grpc.aio, self._connection)
        try:
            return await start_call(self._channel, call, timeout, self._connection)
        except grpc.RpcError as error:
            raise call_error(error, self._connection) from error

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()
