"""A client for TF Serving's gRPC API that does not load TensorFlow."""

from typing import Any

import grpc

from tfmtl.serving.client.connection import Connection
from tfmtl.serving.client.grpc_channel import call_error, open_channel, start_call
from tfmtl.serving.client.grpc_format import GrpcCall, GrpcFormat
from tfmtl.serving.client.sync_client import SyncClient
from tfmtl.serving.client.wire_format import WireFormat


class GrpcClient(SyncClient):
    """Asks a model server for predictions over gRPC: TF Serving, or `LocalServer`.

    Thread-safe; one client holds one connection. Use it as a context manager, or call `close`. Arguments: `BaseClient`;
    calls: `SyncClient`.

    Example:

        with GrpcClient("127.0.0.1:8500", "census") as client:
            client.predict([{"age": 39, "workclass": "State-gov"}, {"age": 50, "workclass": "Private"}])
    """

    def _open(self, connection: Connection, model_name: str) -> tuple[WireFormat, Any]:
        return GrpcFormat(model_name), _Transport(connection)


class _Transport:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._channel = open_channel(grpc, connection)

    def send(self, call: GrpcCall, timeout: float) -> Any:
        try:
            return start_call(self._channel, call, timeout, self._connection)
        except grpc.RpcError as error:
            raise call_error(error, self._connection) from error

    def close(self) -> None:
        self._channel.close()
