"""Examples from TF Serving's JSON."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from tfmtl.serving.protocol.messages import MESSAGES
from tfmtl.serving.server.example_rows import check_num_examples, join_context
from tfmtl.serving.server.limits import Limits
from tfmtl.serving.serving_error import invalid_argument, quote

Json = Any
_INT64 = range(-(2**63), 2**63)


def json_to_examples(body: Mapping[str, Json], limits: Limits) -> npt.NDArray[Any]:
    """Reads `{"context": {...}, "examples": [{...}, ...]}`: features are values or lists of one kind of value.

    Args:
        body: the parsed body; `context`, the features common to all examples, may be left out.
        limits: Limits. Of rows and bytes.

    Returns:
        Serialized `tf.train.Example`s, `(B,)`.

    Raises:
        ServingError: `INVALID_ARGUMENT`, naming the example and the feature; `RESOURCE_EXHAUSTED` beyond a limit.
    """
    examples = body.get("examples")
    if not isinstance(examples, list) or not examples:
        raise invalid_argument("The body must have the key 'examples' with a list of at least one example.")
    check_num_examples(len(examples), limits)
    context = _serialize(body["context"], "context") if "context" in body else b""
    rows = [_serialize(example, f"examples[{index}]") for index, example in enumerate(examples)]
    return join_context(context, rows, limits)


def _serialize(features: Json, where: str) -> bytes:
    if not isinstance(features, dict):
        raise invalid_argument(f"{where} must be an object of features. Received: {type(features).__name__}.")
    example = MESSAGES["Example"]()
    for name, value in features.items():
        try:
            feature = example.features.feature[name]
            _fill(feature, value if isinstance(value, list) else [value], f"{where}: feature {quote(name)}")
        except (OverflowError, UnicodeEncodeError) as error:  # an integer of hundreds of digits, half a character
            raise invalid_argument(f"{where}: feature {quote(name)} cannot be read: {error}.") from error
    return bytes(example.SerializeToString())


def _fill(feature: Any, values: list[Json], where: str) -> None:
    if all(isinstance(item, int) and not isinstance(item, bool) and item in _INT64 for item in values):
        feature.int64_list.value.extend(values)
    elif all(isinstance(item, int | float) and not isinstance(item, bool) for item in values):
        feature.float_list.value.extend(values)
    elif all(isinstance(item, str) or _is_base64(item) for item in values):
        feature.bytes_list.value.extend(_bytes(item, where) for item in values)
    else:
        raise invalid_argument(f"{where} must hold numbers or text, all of one kind. Text may be {{'b64': ...}}.")


def _is_base64(value: Json) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str)


def _bytes(value: Json, where: str) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid_argument(f"{where} must be base64. Received: {error}.") from error
