"""Parse the body of a REST request within the limits on memory.

Nothing here loads TensorFlow: a process of its own reads large bodies.
"""

import json
import math
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfmtl.serving.protocol.signature import Signature, choose_signature
from tfmtl.serving.protocol.tensor_json import Arrays, columns_to_arrays, rows_to_arrays
from tfmtl.serving.server.json_examples import json_to_examples
from tfmtl.serving.server.limits import Limits, too_large
from tfmtl.serving.serving_error import invalid_argument, quote

EXAMPLES_INPUT = "inputs"  # of Classify and Regress


@dataclass(frozen=True)
class JsonBody:
    """The content of a body.

    Args:
        signature_name: str. Empty where the body names none.
        inputs: input name -> array. Of Classify and Regress the serialized examples.
        is_by_row: bool. Whether they came row by row, and are to be answered so.
    """

    signature_name: str
    inputs: Arrays
    is_by_row: bool


def unpack(body: bytes, encoding: str, most: int) -> bytes | None:
    """A body without its packing; None if that is more than `most` bytes.

    aiohttp's own unpacking must be off: it fails with a traceback in the log.

    Raises:
        ServingError: `INVALID_ARGUMENT` if it is packed in another way or not whole.
    """
    if encoding == "identity" or not body:
        return body if len(body) <= most else None
    if encoding not in ("gzip", "x-gzip"):
        raise invalid_argument(f"Content-Encoding must be gzip or none. Received: {quote(encoding)}.")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)  # 16: gzip's header
    try:
        unpacked = unpacker.decompress(body, most + 1)
    except zlib.error as error:
        raise invalid_argument(f"The body is not gzip: {error}.") from error
    if len(unpacked) > most:
        return None
    if not unpacker.eof:
        raise invalid_argument("The body is incomplete: its gzip stream does not end.")
    if unpacker.unused_data:
        raise invalid_argument(f"The body goes on for {len(unpacker.unused_data)} bytes after its gzip stream.")
    return unpacked


def unpack_all(body: bytes, encoding: str, limits: Limits) -> bytes:
    """As `unpack`; raises `RESOURCE_EXHAUSTED`, HTTP 413, beyond the limit."""
    text = unpack(body, encoding, limits.max_message_bytes)
    if text is None:
        raise too_large(f"The unpacked body must not exceed {limits.message_text}.")
    return text


def read_predict(text: bytes, signatures: Mapping[str, Signature], version: int, limits: Limits) -> JsonBody:
    """Reads the body of a predict request.

    Args:
        text: the unpacked body.
        signatures: those of the version that is asked.
        version: int. For messages.
        limits: Limits. Of values, rows and memory.

    Raises:
        ServingError: `INVALID_ARGUMENT`, `FAILED_PRECONDITION` for an unknown signature, `RESOURCE_EXHAUSTED`.
    """
    request = _parse(text, limits)
    signature = choose_signature(signatures, _signature_name(request), version)
    if ("instances" in request) == ("inputs" in request):
        raise invalid_argument(
            "The body must have exactly one of the keys 'instances' (rows) and 'inputs' (columns). "
            f"Received keys: {sorted(request)}."
        )
    is_by_row = "instances" in request
    read = rows_to_arrays if is_by_row else columns_to_arrays
    inputs = read(request["instances" if is_by_row else "inputs"], signature)
    limits.check_arrays(signature, inputs)
    return JsonBody(signature.name, inputs, is_by_row)


def read_examples(text: bytes, limits: Limits) -> JsonBody:
    """Reads the body of a classify or regress request. Raises as `read_predict`."""
    request = _parse(text, limits)
    return JsonBody(_signature_name(request), {EXAMPLES_INPUT: json_to_examples(request, limits)}, True)


def _signature_name(request: Mapping[str, Any]) -> str:
    name = request.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid_argument(f"'signature_name' must be a string. Received: {quote(name)}.")
    return name


def _parse(text: bytes, limits: Limits) -> dict[str, Any]:
    if not text:
        raise invalid_argument("JSON Parse error: the body is empty.")
    # An empty list takes three bytes here and 64 once it is read.
    num_values = text.count(b"[") + text.count(b"{") + text.count(b",")
    if num_values > limits.max_json_values:
        raise too_large(
            f"A body must not hold more than {limits.max_json_values} values, one for each 16 bytes of the server's "
            f"--max-message-bytes. Received: {num_values} brackets, braces and commas. Split the request."
        )
    try:
        request = json.loads(text, parse_float=_parse_float, object_pairs_hook=_make_object)
    except (ValueError, RecursionError) as error:
        raise invalid_argument(f"JSON Parse error: {error}") from error
    if not isinstance(request, dict):
        raise invalid_argument(f"The body must be a JSON object. Received: {type(request).__name__}.")
    return request


def _parse_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):  # the literal Infinity does not come here
        raise ValueError(f"the number {quote(text)} is beyond the range of float64")
    return value


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        ((name, count),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"an object has the key {quote(name)} {count} times")
    return values
