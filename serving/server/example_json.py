"""Examples from TF Serving's JSON, and the answers of Classify and Regress as JSON."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
from tensorflow_serving.apis import input_pb2

from serving.server.example_inference import Arrays, classification_result, read_examples, regression_result
from serving.serving_error import invalid_argument

Json = Any
_INT64 = range(-(2**63), 2**63)


def json_to_examples(body: Mapping[str, Json]) -> npt.NDArray[Any]:
    """Reads `{"context": {...}, "examples": [{...}, ...]}`: features are values or lists of one kind of value.

    Args:
        body: the parsed body; `context`, the features common to all examples, may be left out.

    Returns:
        Serialized `tf.train.Example`s, `(B,)`.

    Raises:
        ServingError: `INVALID_ARGUMENT`, naming the example and the feature.
    """
    examples = body.get("examples")
    if not isinstance(examples, list) or not examples:
        raise invalid_argument("The body must have the key 'examples' with a list of at least one example.")
    source = input_pb2.Input()
    filled = source.example_list_with_context
    if "context" in body:
        _fill(filled.context, body["context"], "context")
    for index, example in enumerate(examples):
        _fill(filled.examples.add(), example, f"examples[{index}]")
    return read_examples(source)


def classifications_to_json(outputs: Arrays, size: int) -> Json:
    """A list of `[label, score]` for each example."""
    return [
        [[each.label, each.score] for each in classified.classes]
        for classified in classification_result(outputs, size).classifications
    ]


def regressions_to_json(outputs: Arrays, size: int) -> Json:
    """The value of each example."""
    return [each.value for each in regression_result(outputs, size).regressions]


def _fill(example: Any, features: Json, where: str) -> None:
    if not isinstance(features, dict):
        raise invalid_argument(f"{where} must be an object of features. Received: {type(features).__name__}.")
    for name, value in features.items():
        feature = example.features.feature[name]
        values = value if isinstance(value, list) else [value]
        if all(isinstance(item, int) and not isinstance(item, bool) and item in _INT64 for item in values):
            feature.int64_list.value.extend(values)
        elif all(isinstance(item, int | float) and not isinstance(item, bool) for item in values):
            feature.float_list.value.extend(values)
        elif all(isinstance(item, str) or _is_base64(item) for item in values):
            feature.bytes_list.value.extend(_bytes(item, f"{where}: feature {name!r}") for item in values)
        else:
            raise invalid_argument(
                f"{where}: feature {name!r} must hold numbers or text, all of one kind. Text may be {{'b64': ...}}."
            )


def _is_base64(value: Json) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str)


def _bytes(value: Json, where: str) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid_argument(f"{where} must be base64. Received: {error}.") from error
