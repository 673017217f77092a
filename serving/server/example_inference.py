"""Classify and Regress: signatures over serialized examples, with TF Serving's answers."""

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
from tensorflow_serving.apis import classification_pb2, input_pb2, regression_pb2

from tfmtl.serving.protocol.signature import Signature
from tfmtl.serving.server.example_rows import check_num_examples, join_context
from tfmtl.serving.server.limits import Limits
from tfmtl.serving.server.served_model import ServedModel
from tfmtl.serving.serving_error import ServingError, invalid_argument

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
_INPUT = "inputs"
_OUTPUTS = {CLASSIFY: ("classes", "scores"), REGRESS: ("outputs",)}
_NAMES = {CLASSIFY: "Classify", REGRESS: "Regress"}

Arrays = Mapping[str, npt.NDArray[Any]]


def check_method(model: ServedModel, signature_name: str, method: str) -> Signature:
    """Returns the signature if it can be asked by this method.

    As TF Serving with its default flags, by what it takes and answers: an export of TensorFlow 2 says of every
    signature that it is for Predict.

    Args:
        model: ServedModel.
        signature_name: str. Empty means `serving_default`.
        method: str. `CLASSIFY` or `REGRESS`.

    Raises:
        ServingError: `FAILED_PRECONDITION` for an unknown signature, `INVALID_ARGUMENT` for one that is not for this
            method; the error lists those that are.
    """
    signature = model.signature(signature_name)
    if _is_for(signature, method):
        return signature
    fitting = [name for name in model.signature_names if _is_for(model.signature(name), method)]
    raise invalid_argument(
        f"{_NAMES[method]} must ask a signature with the string input {_INPUT!r} and the outputs "
        f"{' or '.join(map(repr, _OUTPUTS[method]))}. Received: signature {signature.name!r} with inputs "
        f"{list(signature.inputs)} and outputs {list(signature.outputs)}. Signatures for it: {fitting}."
    )


def read_examples(source: input_pb2.Input, limits: Limits) -> npt.NDArray[Any]:
    """The serialized examples of a request, `(B,)`, each with the features of the common context.

    Raises:
        ServingError: `INVALID_ARGUMENT` if there is no example, `RESOURCE_EXHAUSTED` if there is too much of them.
    """
    if source.WhichOneof("kind") == "example_list_with_context":
        examples = source.example_list_with_context.examples
        context = source.example_list_with_context.context.SerializeToString()
    else:
        examples, context = source.example_list.examples, b""
    check_num_examples(len(examples), limits)
    return join_context(context, [example.SerializeToString() for example in examples], limits)


def classification_result(outputs: Arrays, size: int) -> classification_pb2.ClassificationResult:
    """Classes and scores of each example.

    Raises:
        ServingError: `FAILED_PRECONDITION` if the outputs are not of shape `(size, classes)`.
    """
    for name, array in outputs.items():
        _check(array.ndim == 2 and len(array) == size, name, array, f"({size}, classes)")
    result = classification_pb2.ClassificationResult()
    labels, scores = outputs.get("classes"), outputs.get("scores")
    width = next(iter(outputs.values())).shape[1]
    for row in range(size):
        classifications = result.classifications.add()
        for column in range(width):
            classifications.classes.add(
                label=labels[row, column].decode("utf-8", "replace") if labels is not None else "",
                score=float(scores[row, column]) if scores is not None else 0.0,
            )
    return result


def regression_result(outputs: Arrays, size: int) -> regression_pb2.RegressionResult:
    """The value of each example.

    Raises:
        ServingError: `FAILED_PRECONDITION` if the output is not of shape `(size,)` or `(size, 1)`.
    """
    array = outputs["outputs"]
    _check(array.shape in ((size,), (size, 1)), "outputs", array, f"({size},)")
    return regression_pb2.RegressionResult(regressions=[{"value": value} for value in array.ravel().tolist()])


def wanted_outputs(signature: Signature, method: str) -> list[str]:
    """The outputs of the signature that the method answers with."""
    return [name for name in _OUTPUTS[method] if name in signature.outputs]


def _is_for(signature: Signature, method: str) -> bool:
    known = {"classes": "string", "scores": "float32", "outputs": "float32"}
    outputs = wanted_outputs(signature, method)
    return (
        list(signature.inputs) == [_INPUT]
        and signature.inputs[_INPUT].dtype == "string"
        and bool(outputs)
        and all(signature.outputs[name].dtype == known[name] for name in outputs)
    )


def _check(is_right: bool, name: str, array: npt.NDArray[Any], shape: str) -> None:
    if not is_right:
        raise ServingError(
            "FAILED_PRECONDITION", f"Output {name!r} must have shape {shape}. Received: shape {array.shape}."
        )
