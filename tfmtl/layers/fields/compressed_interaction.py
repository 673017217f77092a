"""xDeepFM's Compressed Interaction Network (CIN)."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.schema.checks import check_bool, check_positive_ints, check_shape, error_text


def _check_halves(owner: str, hidden_units: Sequence[int]) -> None:
    if any(units % 2 for units in hidden_units[:-1]):
        rule = "be even in all but the last layer when `split_half` is on"
        advice = "Use even widths, or split_half=False."
        raise ValueError(error_text(owner, "hidden_units", rule, tuple(hidden_units), advice))


@keras.saving.register_keras_serializable(package="tfmtl")
class CompressedInteraction(keras.layers.Layer):
    """Multiplies the fields with themselves again and again, coordinate by coordinate, and compresses each time.

    Layer k holds H_k vectors: `X^k_h = activation(sum_ij W^k_hij (X^(k-1)_i * X^0_j) + b^k_h)`, where `X^0` is the
    fields. Without an activation and biases it is a sum of products of k + 1 fields. The result is the sum over D of
    every vector that goes to the output.

    Shapes: B batch, F fields, D embedding width.

    Args:
        hidden_units: Sequence of ints. Number of vectors H_k of each layer. Defaults to `(128, 128)`.
        activation: Keras activation or its name, after every layer. Defaults to `"relu"`.
        split_half: bool. Whether only the second half of each layer but the last goes to the output, and only the
            first half to the next layer; if not, all of a layer goes to both. Defaults to `True`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, F, D)`.

    Returns:
        float `(B, H)`: H is the sum of `hidden_units`, all but the last halved by `split_half`.

    Raises:
        ValueError: If a size is not positive, a size but the last odd with `split_half`, or at build if the inputs
            have another shape.
        TypeError: If a size is not an int or `split_half` not a bool.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.CompressedInteraction(hidden_units=(8, 4))(keras.ops.ones((8, 6, 4))).shape
    TensorShape([8, 8])

    Reference:
        Lian et al. 2018 (xDeepFM), https://arxiv.org/abs/1803.05170, eq. 6-7. The activation, the bias and the halves
        are those of DeepCTR's implementation.
    """

    def __init__(
        self,
        hidden_units: Sequence[int] = (128, 128),
        activation: Any = "relu",
        split_half: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_ints(owner, "hidden_units", hidden_units)
        check_bool(owner, "split_half", split_half)
        if split_half:
            _check_halves(owner, hidden_units)
        self.hidden_units = tuple(hidden_units)
        self.activation = keras.activations.get(activation)
        self.split_half = split_half

    def build(self, input_shape: Shape) -> None:
        check_shape(type(self).__name__, "inputs", input_shape, "B, F, D")
        batch, fields, width = input_shape
        self.compressions = []
        vectors = fields
        for units in self.hidden_units:
            dense = keras.layers.Dense(units, self.activation, dtype=self.dtype_policy)
            dense.build((batch, width, vectors * fields))
            self.compressions.append(dense)
            vectors = units // 2 if self.split_half else units

    def call(self, inputs: Tensor) -> Tensor:
        _, fields, width = inputs.shape
        # The vectors' axis last, so that a compression is one matrix product for all coordinates.
        first = hidden = ops.transpose(inputs, (0, 2, 1))  # (B, D, F)
        outputs = []
        for compression in self.compressions:
            products = hidden[..., :, None] * first[..., None, :]  # (B, D, H_k-1, F)
            vectors = compression(ops.reshape(products, (-1, width, hidden.shape[-1] * fields)))  # (B, D, H_k)
            is_last = compression is self.compressions[-1]
            if self.split_half and not is_last:
                hidden, direct = ops.split(vectors, 2, axis=-1)
            else:
                hidden = direct = vectors
            outputs.append(ops.sum(direct, axis=1))
        return ops.concatenate(outputs, axis=-1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        *others, last = self.hidden_units
        direct = sum(others) // 2 if self.split_half else sum(others)
        return (input_shape[0], direct + last)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "hidden_units": list(self.hidden_units),
            "activation": keras.activations.serialize(self.activation),
            "split_half": self.split_half,
        }
