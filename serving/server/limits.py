"""Limits on requests, so that one client cannot block the others."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from tfmtl.serving.protocol.signature import Signature, TensorSpec
from tfmtl.serving.protocol.tensor_proto import DTYPES, MAX_MESSAGE_BYTES, MAX_RANK, dtype_name
from tfmtl.serving.serving_error import ServingError, invalid_argument

# Smaller messages would not hold an ordinary request.
_MIN_MESSAGE_BYTES = 1024
_LEAST_STREAMS = 100  # as HTTP/2 recommends
# Of one element. TensorFlow keeps 24 bytes for each string beside its text, and an object array nearly so.
_BYTES = {name: 24 if name == "string" else np.dtype(name).itemsize for name in DTYPES}


@dataclass(frozen=True)
class Limits:
    """Limits of a server. A request that exceeds one is refused with an error that names the limit and its option.

    Args:
        max_message_bytes: int. Largest request, packed and unpacked, and the most memory its tensors may take: a
            tensor of few bytes can stand for one of many. Defaults to `16777216`, 16 MiB.
        max_rows: int. Most rows of one request. Defaults to `10000`.
        max_requests: int. Largest number of requests in progress, per protocol; only completely received ones count.
            One gRPC connection may have a quarter of them, but at least 100. Defaults to `1000`.
        max_connections: int. Most open connections, on each protocol. A further REST connection closes the one
            that has been without a request for longest; a further gRPC connection is refused. Defaults to `1000`.
        read_seconds: float. Seconds in which a request must arrive, and a new connection must send one. Defaults to
            `20.0`.
        idle_seconds: float. Seconds after which an idle connection is closed. Defaults to `300.0`.

    Raises:
        ValueError: if a limit is not positive, or `max_message_bytes` is below 1024.
    """

    max_message_bytes: int = 16 * 1024 * 1024
    max_rows: int = 10_000
    max_requests: int = 1000
    max_connections: int = 1000
    read_seconds: float = 20.0
    idle_seconds: float = 300.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            low = _MIN_MESSAGE_BYTES if field.name == "max_message_bytes" else 0
            if not value > 0 or value < low:
                raise ValueError(
                    f"Limits: `{field.name}` must be {f'at least {low}' if low else 'positive'}. "
                    f"Received: {field.name}={value!r}. Leave it out for {field.default}."
                )

    def grpc_options(self) -> list[tuple[str, int]]:
        """Returns the limits that gRPC itself keeps, as options of a server."""
        read, idle = (int(1000 * seconds) for seconds in (self.read_seconds, self.idle_seconds))
        return [
            # gRPC's own refusal names no option. Twice the limit is its to refuse, what is between is `GrpcServer`'s.
            ("grpc.max_receive_message_length", 2 * self.max_message_bytes),
            ("grpc.max_send_message_length", max(MAX_MESSAGE_BYTES, self.max_message_bytes)),
            # What is beyond waits in the client, so that no connection takes all places.
            ("grpc.max_concurrent_streams", max(_LEAST_STREAMS, self.max_requests // 4)),
            ("grpc.max_allowed_incoming_connections", self.max_connections),
            ("grpc.server_handshake_timeout_ms", read),
            ("grpc.max_connection_idle_ms", idle),
            # Without this a second server on the same port starts, and each gets some of the requests.
            ("grpc.so_reuseport", 0),
        ]

    @property
    def max_json_values(self) -> int:
        """Most values of a JSON body: each takes about 64 bytes once it is read, whatever it is."""
        return self.max_message_bytes // 16

    @property
    def message_text(self) -> str:
        """The limit of a message and its option, for errors."""
        return f"{self.max_message_bytes} bytes (the server's --max-message-bytes)"

    def late_text(self, method: str) -> str:
        """The error text for a call whose message does not arrive."""
        return f"The message of {method} must arrive within {self.read_seconds:g} s (the server's --read-seconds)."

    def check_message(self, method: str, message: bytes) -> None:
        """Raises `ServingError` (`RESOURCE_EXHAUSTED`) for the message of a call that is too large."""
        if len(message) > self.max_message_bytes:
            raise too_large(
                f"The message of {method} must not exceed {self.message_text}. Received: {len(message)} bytes."
            )

    def check_tensors(self, signature: Signature, tensors: Mapping[str, TensorSpec]) -> None:
        """Checks rows and memory of a request's tensors, before any is allocated.

        Args:
            signature: Signature. Says which inputs have rows.
            tensors: mapping of input name to the dtype and shape that were received. Negative sizes are left to be
                refused as what they are.

        Raises:
            ServingError: `RESOURCE_EXHAUSTED`, HTTP 413; `INVALID_ARGUMENT` for a tensor of more dimensions than any.
        """
        num_bytes: dict[str, int] = {}
        for name, spec in tensors.items():
            shape = [size or 0 for size in spec.shape or ()]
            if len(shape) > MAX_RANK:  # their product would be a number of megabytes
                raise invalid_argument(
                    f"Signature {signature.name!r}: input {name!r} must not have more than {MAX_RANK} dimensions. "
                    f"Received: {len(shape)}."
                )
            if shape and shape[0] > self.max_rows and signature.inputs[name].is_batched:
                raise too_large(
                    f"Signature {signature.name!r}: input {name!r} must not exceed {self.max_rows} rows "
                    f"(the server's --max-rows). Received: {shape[0]} rows. Split the request."
                )
            num_bytes[name] = _BYTES.get(spec.dtype, 0) * math.prod(shape)
        total = sum(num_bytes.values())
        if total > self.max_message_bytes:
            raise too_large(
                f"Signature {signature.name!r}: the inputs' tensors must not exceed {self.message_text}. "
                f"Received: {total} bytes, most of them of input {max(num_bytes, key=num_bytes.__getitem__)!r}. "
                "Split the request."
            )

    def check_arrays(self, signature: Signature, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Checks arrays, as `check_tensors`."""
        self.check_tensors(
            signature, {name: TensorSpec(dtype_name(array), array.shape) for name, array in arrays.items()}
        )


def too_large(message: str) -> ServingError:
    """Returns the error for a request beyond a limit: code `RESOURCE_EXHAUSTED`, HTTP 413."""
    return ServingError("RESOURCE_EXHAUSTED", message, http_status=413)
