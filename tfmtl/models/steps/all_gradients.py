"""Gradients with respect to a model's weights and looked-up rows, zeros included."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.models.steps.forward_pass import Vectors


def all_gradients(
    tape: tf.GradientTape,
    target: Tensor,
    weights: Sequence[keras.Variable],
    vectors: Vectors,
    cotangent: Tensor | None = None,
) -> tuple[list[Tensor], Vectors]:
    """A dense gradient for each weight, and for the looked-up rows of each width.

    Where the target depends on a weight not at all there are zeros, which a tape cannot make for a variable of Keras.

    Args:
        tape: the tape that has watched the pass.
        target: what is differentiated.
        weights: with respect to which.
        vectors: and the looked-up rows.
        cotangent: what the target's gradient is multiplied by. Defaults to `None`: ones.
    """
    by_weight, by_width = tape.gradient(target, (list(weights), vectors), cotangent)
    dense = [
        tf.zeros(weight.shape) if gradient is None else tf.convert_to_tensor(gradient)
        for weight, gradient in zip(weights, by_weight, strict=True)
    ]
    rows = {w: tf.zeros_like(vectors[w]) if gradient is None else gradient for w, gradient in by_width.items()}
    return dense, rows
