"""One signature of a loaded SavedModel, called with as little of Python around its graph as there can be."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt
import tensorflow as tf


class SignatureCall:
    """A signature as a function of NumPy arrays.

    Called as TensorFlow offers it, a signature spends 0.2 to 0.5 ms in Python before its graph starts: a small model's
    graph takes a tenth of that. The operation that a graph calls functions with takes the same function, the arrays
    as they are and the variables, and goes straight to the runtime. Where the order of a function's inputs is not
    certain, as in models written by TensorFlow 1, the signature is called as TensorFlow offers it.

    Args:
        function: one of `tf.saved_model.load(...).signatures`. The holder of this object must also hold the SavedModel.
    """

    def __init__(self, function: Any) -> None:
        self._function = function
        self._captured = list(function.captured_inputs)
        self._output_names = sorted(function.structured_outputs)  # the order in which mappings are flattened
        self._output_dtypes = [output.dtype for output in function.outputs]
        tensors = function.inputs[: len(function.inputs) - len(self._captured)]
        names = [_argument_name(tensor) for tensor in tensors]
        is_certain = sorted(names) == sorted(function.structured_input_signature[1])
        self._input_names = names if is_certain and len(self._output_names) == len(self._output_dtypes) else None

    def __call__(
        self, inputs: Mapping[str, npt.NDArray[Any]], output_names: Sequence[str] = ()
    ) -> dict[str, npt.NDArray[Any]]:
        """Returns the outputs by name.

        Args:
            inputs: mapping of every input's name to an array of its dtype; object arrays hold `bytes`.
            output_names: the outputs to return. Defaults to `()`, which returns all.

        Raises:
            tf.errors.OpError: if the graph rejects the values.
        """
        if self._input_names is None:
            outputs = self._function(**{name: tf.convert_to_tensor(array) for name, array in inputs.items()})
        else:
            tensors = tf.raw_ops.StatefulPartitionedCall(
                args=[*[inputs[name] for name in self._input_names], *self._captured],
                Tout=self._output_dtypes,
                f=self._function,
            )
            outputs = dict(zip(self._output_names, tensors, strict=True))
        return {name: outputs[name].numpy() for name in output_names or outputs}


def _argument_name(tensor: Any) -> str:
    """The name under which a placeholder's value is given; a placeholder's own name has odd characters replaced."""
    try:
        return bytes(tensor.op.get_attr("_user_specified_name")).decode()
    except ValueError:  # it has no such attribute
        return ""
