"""The gradient of the sum of the tasks' losses, each times a weight."""

from typing import Any

import tensorflow as tf

from tfmtl.balancing import Balancer
from tfmtl.core.replicas import sum_over_replicas
from tfmtl.models.steps.forward_pass import ForwardPass, Vectors
from tfmtl.models.steps.step_gradients import StepGradients


def summed_gradients(forward: ForwardPass, balancer: Balancer | None) -> StepGradients:
    """One backward pass; a balancer weighs the losses by what they are, without being differentiated itself."""

    def differentiate(vectors: Vectors) -> tuple[Any, ...]:
        with tf.GradientTape() as tape:
            tape.watch(vectors)
            out = forward.run(vectors)
        parts, weights = out.scaled_parts, None
        if balancer is not None:
            losses = sum_over_replicas(out.contributions)
            weights = tf.unstack(balancer.weights(losses, None, forward.losses.present))
        if out.scaled_rest is not None:
            parts = [*parts, out.scaled_rest]
            weights = None if weights is None else [*weights, tf.ones(())]
        dense, rows = tape.gradient(parts, (forward.dense, vectors), weights)
        return dense, rows, out.raw, out.loss, out.contributions, out.means

    return StepGradients(*forward.compiled(differentiate)(forward.vectors()))
