"""TensorFlow's own batch scheduler in the place of the server's: what the load test compares it with."""

from typing import Any

import tensorflow as tf

from tfmtl.serving.server import served_model
from tfmtl.serving.server.batching_options import BatchingOptions
from tfmtl.serving.server.signature_call import SignatureCall

_DEFAULTS = BatchingOptions()
_CALLERS = 64  # threads that wait inside the operation, more than there are clients
ALONE = BatchingOptions(max_batch_size=1, num_batch_threads=_CALLERS)
"""The server's own batcher hands every request on as it comes."""


def replace_calls(max_batch_size: int) -> None:
    """Has every model that is loaded from here on batch in its graph, with time and threads of the server's own."""
    served_model.SignatureCall = lambda function: SignatureCall(  # type: ignore[misc]
        _in_batches(function, max_batch_size)
    )


def _in_batches(function: Any, max_batch_size: int) -> Any:
    """A signature with an operation in front that waits for other calls and computes them together."""
    specs = function.structured_input_signature[1]
    names, outputs = sorted(specs), sorted(function.structured_outputs)
    if any(not spec.shape.rank or spec.shape[0] is not None for spec in specs.values()):
        return function  # `rank`: inputs of unequal numbers of rows

    @tf.nondifferentiable_batch_function(
        num_batch_threads=_DEFAULTS.num_batch_threads,
        max_batch_size=max_batch_size,
        batch_timeout_micros=_DEFAULTS.batch_timeout_micros,
        max_enqueued_batches=_DEFAULTS.max_enqueued_batches,
        autograph=False,
    )
    def together(*tensors: tf.Tensor) -> list[tf.Tensor]:
        found = function(**dict(zip(names, tensors, strict=True)))
        return [found[name] for name in outputs]

    def call(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(outputs, together(*[inputs[name] for name in names]), strict=True))

    return tf.function(call, autograph=False).get_concrete_function(**specs)
