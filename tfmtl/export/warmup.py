"""Warm-up requests: a server replays them when it loads a version, so that the first user does not wait."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfmtl.export.raw_batch import to_examples, to_rank_tensors, to_tensors
from tfmtl.export.serving_messages import message_class
from tfmtl.export.serving_module import RANK, SERVE, SERVE_EXAMPLES, signature_specs
from tfmtl.schema import Problem

_BATCH_SIZES = (1, 16, 64)


def write_warmup(
    problem: Problem,
    requests: Sequence[Mapping[str, Any]],
    golden: Mapping[str, Mapping[str, Any]],
    path: Path,
) -> None:
    """Writes one Predict request per signature and usual number of rows, as TF Serving reads them.

    With each request goes the right answer, as in a log. A server does not look at it; whoever replays the file, in
    whatever language, can compare.

    Args:
        problem: `Problem`; its name is the model's.
        requests: raw features of real examples.
        golden: signature -> output name -> the right answers to the requests, `(rows, *inner)`.
        path: the file.
    """
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature in signature_specs(problem):
            for size in sorted({min(size, len(requests)) for size in _BATCH_SIZES}):
                request = predict_request(problem.name, signature, request_tensors(problem, signature, requests[:size]))
                answers = {name: tf.constant(values[:size], tf.float32) for name, values in golden[signature].items()}
                writer.write(prediction_log(request, answers))


def prediction_log(request: Any, answers: Mapping[str, tf.Tensor]) -> bytes:
    """A record of the warm-up file: a `PredictRequest` and the right answers to it."""
    log = message_class("PredictionLog")()
    log.predict_log.request.CopyFrom(request)
    log.predict_log.response.model_spec.CopyFrom(request.model_spec)
    for name, values in answers.items():
        _put(log.predict_log.response.outputs[name], values)
    return bytes(log.SerializeToString())


def predict_request(model_name: str, signature: str, tensors: Mapping[str, tf.Tensor]) -> Any:
    """A `PredictRequest` with these inputs."""
    request = message_class("PredictRequest")()
    request.model_spec.name = model_name
    request.model_spec.signature_name = signature
    for name, tensor in tensors.items():
        _put(request.inputs[name], tensor)
    return request


def _put(proto: Any, tensor: tf.Tensor) -> None:
    """TensorFlow's message of a tensor is of another class than the one in a request; their bytes are the same."""
    proto.ParseFromString(tf.make_tensor_proto(tensor).SerializeToString())


def request_tensors(problem: Problem, signature: str, requests: Sequence[Mapping[str, Any]]) -> dict[str, tf.Tensor]:
    """A signature's inputs for these examples; to rank them, they are candidates of the first one's user."""
    specs = signature_specs(problem)
    if signature == RANK:
        return to_rank_tensors(requests[0], requests, specs[RANK])
    if signature == SERVE_EXAMPLES:
        return {"examples": tf.constant(to_examples(requests, specs[SERVE]))}
    return to_tensors(requests, specs[signature])
