"""The gradient of the sum of the tasks' losses, each times a weight."""

from typing import Any

import tensorflow as tf

from tfmtl.balancing import Balancer
from tfmtl.core.replicas import sum_over_replicas
from tfmtl.core.types import Tensor
from tfmtl.models.steps.forward_pass import ForwardPass, Vectors
from tfmtl.models.steps.step_gradients import StepGradients


def summed_gradients(forward: ForwardPass, balancer: Balancer | None, weights: Tensor | None = None) -> StepGradients:
    """One backward pass; a balancer weighs the losses by what they are, without being differentiated itself.

    Args:
        forward: `ForwardPass`.
        balancer: `Balancer` that reads no gradients, or `None` for the sum.
        weights: what it said before, `(T,)`, for a pass in which it is not asked again. Defaults to `None`.
    """

    def differentiate(vectors: Vectors) -> tuple[Any, ...]:
        with tf.GradientTape() as tape:
            tape.watch(vectors)
            out = forward.run(vectors)
        found = weights
        if found is None and balancer is not None:
            found = balancer.weights(sum_over_replicas(out.contributions), None, forward.losses.present)
        factors = None
        if found is not None:
            factors = [*tf.unstack(found), *([] if out.scaled_rest is None else [tf.ones(())])]
        dense, rows = tape.gradient(out.scaled_losses, (forward.dense, vectors), factors)
        return dense, rows, out.raw, out.loss, out.contributions, out.means, found

    return StepGradients(*forward.compiled(differentiate)(forward.vectors()))
