"""The one error that crosses the wire: a status code and a message."""

import reprlib

# gRPC's canonical codes. TensorFlow numbers its errors the same way, so the position in this tuple is the
# number in `StatusProto.error_code` and in `tf.errors.OpError.error_code`.
STATUS_CODES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)

# The HTTP status TF Serving answers with for each code; a code that is not here is a 500.
HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}

# What an answer's HTTP status says. Several codes share one; the first in the table is the likeliest.
HTTP_CODES = {
    200: "OK",
    **{status: code for code, status in reversed(HTTP_STATUS.items())},
    # HTTP tells these apart, gRPC does not.
    408: "DEADLINE_EXCEEDED",
    413: "RESOURCE_EXHAUSTED",
}

_MAX_HEADER_BYTES = 6000
_MAX_QUOTED_CHARACTERS = 60
_QUOTER = reprlib.Repr()
_QUOTER.maxstring = _QUOTER.maxlong = 2 * _MAX_QUOTED_CHARACTERS


class ServingError(Exception):
    """A request that cannot be answered, as the server reports it and the clients raise it.

    Args:
        code: str. A canonical gRPC status name, such as `"INVALID_ARGUMENT"`, on both protocols.
        message: str. What is wrong and what to do, in one line. The end of one that takes more than 6000 bytes in
            a header is cut off: a client can provoke it with a name of megabytes, and gRPC has 8 KiB.
        http_status: int or None. The status over REST. Defaults to None, the one in `HTTP_STATUS`.

    Raises:
        ValueError: if `code` is not a canonical name.
    """

    def __init__(self, code: str, message: str, http_status: int | None = None) -> None:
        if code not in STATUS_CODES:
            raise ValueError(
                f"ServingError: `code` must be a canonical gRPC status name. Received: code={code!r}. "
                f"Use one of {list(STATUS_CODES)}."
            )
        message = _shorten(message)
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.http_status = HTTP_STATUS.get(code, 500) if http_status is None else http_status


def invalid_argument(message: str) -> ServingError:
    """Returns the error for a request that is wrong in itself: code `INVALID_ARGUMENT`, HTTP 400."""
    return ServingError("INVALID_ARGUMENT", message)


def internal_error(error: Exception) -> ServingError:
    """Returns the error for what went wrong in the server itself: code `INTERNAL`, HTTP 500."""
    return ServingError("INTERNAL", f"Internal error: {type(error).__name__}: {error}")


def quote(value: object) -> str:
    """Returns the beginning of what a client sent, for messages, so that the cause still stands behind it.

    `repr` would write all of it, or fail where lists are nested deep.
    """
    text = _QUOTER.repr(value)
    return text if len(text) <= _MAX_QUOTED_CHARACTERS else text[:_MAX_QUOTED_CHARACTERS] + "..."


def _shorten(message: str) -> str:
    """Cuts off what does not fit a gRPC header, where whatever is not printable ASCII takes three bytes."""
    text = message[:_MAX_HEADER_BYTES].encode("utf-8", "backslashreplace")
    size = 0
    for index, byte in enumerate(text):
        size += 1 if 32 <= byte < 127 and byte != ord("%") else 3
        if size > _MAX_HEADER_BYTES:
            return text[:index].decode("utf-8", "ignore") + " ..."
    return message if len(message) <= _MAX_HEADER_BYTES else text.decode("utf-8", "ignore") + " ..."
