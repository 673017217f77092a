"""A gRPC channel to a model server, for threads (`grpc`) and for event loops (`grpc.aio`) alike."""

from typing import Any

import grpc

from tfmtl.serving.client.connection import Connection
from tfmtl.serving.client.grpc_format import GrpcCall
from tfmtl.serving.protocol.messages import MESSAGES
from tfmtl.serving.protocol.tensor_proto import MAX_MESSAGE_BYTES
from tfmtl.serving.serving_error import ServingError

_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # A model server is a neighbor; a proxy meant for the internet would only refuse it.
    ("grpc.enable_http_proxy", 0),
    # By default a channel that lost its server refuses every call for a second and more: retries would be in vain.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


def open_channel(library: Any, connection: Connection) -> Any:
    """Returns a channel of `grpc` or `grpc.aio`, as `library` says."""
    if not connection.uses_tls:
        return library.insecure_channel(connection.address, _OPTIONS)
    credentials = grpc.ssl_channel_credentials(*connection.pem_bytes())
    return library.secure_channel(connection.address, credentials, _OPTIONS)


def start_call(channel: Any, call: GrpcCall, timeout: float, connection: Connection) -> Any:
    """Calls the method; the answer is the message, or what to await for it."""
    method = channel.unary_unary(
        f"/tensorflow.serving.{call.method}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=MESSAGES[call.answer].FromString,
    )
    return method(call.message, timeout=timeout, metadata=tuple(connection.headers.items()))


def call_error(error: Any, connection: Connection) -> ServingError | TimeoutError:
    """Returns what an RPC's error means to a client's steps."""
    code, message = error.code().name, error.details()
    if code == "DEADLINE_EXCEEDED":
        return TimeoutError()
    return ServingError(code, connection.no_server(message) if code == "UNAVAILABLE" else message)
