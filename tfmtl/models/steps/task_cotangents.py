"""The gradient of each task's loss with respect to the sharing layer's output."""

import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.models.steps.forward_pass import ForwardPass, Outputs


def task_cotangents(tape: tf.GradientTape, forward: ForwardPass, out: Outputs) -> list[Tensor]:
    """For every task the gradient of its weighted loss, `(B, T, H')`.

    Where nothing above connects the tasks, task k's is zero outside of slice k: one backward pass through the towers
    serves all. A transfer between towers or a chain of probabilities connects them, and costs a pass each.

    Args:
        tape: the persistent tape that has watched the forward pass.
        forward: `ForwardPass`.
        out: what it found.
    """
    parts = out.scaled_parts
    zero = tf.UnconnectedGradients.ZERO
    if forward.model.connects_tasks:
        return [tape.gradient(part, out.hidden, unconnected_gradients=zero) for part in parts]
    together = tape.gradient(parts, out.hidden, unconnected_gradients=zero)
    return [together * tf.one_hot(k, len(parts), dtype=together.dtype)[:, tf.newaxis] for k in range(len(parts))]
