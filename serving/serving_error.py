"""The one error that crosses the wire: a status code and a message."""

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


class ServingError(Exception):
    """A request that cannot be answered, as the server reports it and the clients raise it.

    Args:
        code: str. A canonical gRPC status name, such as `"INVALID_ARGUMENT"`, on both protocols.
        message: str. What is wrong and what to do, in one line.

    Raises:
        ValueError: if `code` is not a canonical name.
    """

    def __init__(self, code: str, message: str) -> None:
        if code not in STATUS_CODES:
            raise ValueError(
                f"ServingError: `code` must be a canonical gRPC status name. Received: code={code!r}. "
                f"Use one of {list(STATUS_CODES)}."
            )
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def invalid_argument(message: str) -> ServingError:
    """Returns the error for a request that is wrong in itself: code `INVALID_ARGUMENT`, HTTP 400."""
    return ServingError("INVALID_ARGUMENT", message)
