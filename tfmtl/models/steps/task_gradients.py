"""Compute one gradient per task, and combine them with a gradient aggregator."""

from typing import Any

import tensorflow as tf

from tfmtl.balancing import Balancer
from tfmtl.core.replicas import sum_over_replicas
from tfmtl.models.steps.all_gradients import all_gradients
from tfmtl.models.steps.forward_pass import ForwardPass, Vectors
from tfmtl.models.steps.gramian import gramian
from tfmtl.models.steps.step_gradients import StepGradients, add_gradients
from tfmtl.models.steps.task_cotangents import task_cotangents


def task_gradients(forward: ForwardPass, balancer: Balancer) -> StepGradients:
    """One forward pass, and as many backward passes through what tasks share as there are tasks.

    Weights that belong to single tasks take their own task's gradient as it is: the towers and heads, and what layers
    name as their `private_weights`. Of the tables, the rows that the batch touched enter the Gramian, those looked up
    several times once, by their summed gradient.
    """
    model = forward.model
    private = {id(weight) for weight in model.private_weights()}
    own, below = forward.task_weights(), forward.weights_below()

    def differentiate(vectors: Vectors) -> tuple[Any, ...]:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(vectors)
            out = forward.run(vectors)
        own_gradients = tape.gradient(out.scaled_losses, own)
        added = None if out.scaled_rest is None else tape.gradient(out.scaled_rest, (below, vectors))
        dense, rows = [], []
        for cotangent in task_cotangents(tape, forward, out):
            one = all_gradients(tape, out.hidden, below, vectors, cotangent)
            dense.append([tf.reshape(gradient, (-1,)) for gradient in one[0]])
            rows.append(one[1])
        matrices = [tf.stack(parts) for parts in zip(*dense, strict=True)]  # each (T, size)
        by_width = {width: tf.stack([task[width] for task in rows], axis=2) for width in vectors}  # (B, n, T, width)
        return own_gradients, added, matrices, by_width, out.raw, out.loss, out.contributions, out.means

    own_gradients, added, matrices, rows, raw, loss, contributions, means = forward.compiled(differentiate)(
        forward.vectors()
    )
    shared = [matrix for weight, matrix in zip(below, matrices, strict=True) if id(weight) not in private]
    products = gramian(forward, shared, rows)
    weights = balancer.weights(sum_over_replicas(contributions), products, forward.losses.present)
    ones = tf.ones_like(weights)
    combined = {
        id(weight): tf.reshape(tf.linalg.matvec(matrix, ones if id(weight) in private else weights, True), weight.shape)
        for weight, matrix in zip(below, matrices, strict=True)
    }
    combined |= {id(weight): gradient for weight, gradient in zip(own, own_gradients, strict=True)}
    by_width = {width: tf.einsum("bntw,t->bnw", values, weights) for width, values in rows.items()}
    if added is not None:
        for weight, gradient in zip(below, added[0], strict=True):
            combined[id(weight)] = add_gradients(combined[id(weight)], gradient)
        by_width = {width: add_gradients(gradient, added[1][width]) for width, gradient in by_width.items()}
    dense = [combined[id(weight)] for weight in forward.dense]
    return StepGradients(dense, by_width, raw, loss, contributions, means)
