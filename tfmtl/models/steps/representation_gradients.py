"""Balance the tasks' gradients at the last representation that they share."""

from typing import Any

import tensorflow as tf

from tfmtl.balancing import Balancer
from tfmtl.core.replicas import sum_over_replicas
from tfmtl.core.types import Tensor
from tfmtl.layers.sharing.sharing_layer import SharingLayer
from tfmtl.models.steps.forward_pass import ForwardPass, Vectors
from tfmtl.models.steps.step_gradients import StepGradients, add_gradients
from tfmtl.models.steps.task_cotangents import task_cotangents
from tfmtl.schema.checks import error_text


def check_place(sharing: SharingLayer, balancer: Balancer | None, balance_at: str) -> None:
    """Raises `NotImplementedError` if the sharing layer does not say where the gradients that are to be balanced meet.

    Args:
        sharing: `SharingLayer`.
        balancer: `Balancer` or `None`.
        balance_at: str. `"parameters"` or `"representation"`.
    """
    reads_there = balance_at == "representation" and balancer is not None and balancer.uses_gramian
    if reads_there and type(sharing).representation_shape is SharingLayer.representation_shape:
        sharing.representation_shape((None, 1, 1))


def representation_gradients(forward: ForwardPass, balancer: Balancer) -> StepGradients:
    """One forward and one whole backward pass, and for every task one that ends at the common representation.

    That is what the sharing layer's experts put out, where the layer says so (`representation_shape`); otherwise what
    the bottom puts out; and if it puts out something for each task, the looked-up rows of the tables. Towers and heads
    take their task's gradient as it is; a sharing layer's own gates and private experts take it times its weight.
    """
    model = forward.model
    own, below = forward.task_weights(), forward.weights_below()

    def differentiate(vectors: Vectors) -> tuple[Any, ...]:
        shape = model.representation_shape()
        offset = None if shape is None else tf.zeros((forward.rows, *shape[1:]), model.compute_dtype)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(vectors)
            if offset is not None:
                tape.watch(offset)
            out = forward.run(vectors, offset)
        where: Any = offset
        if offset is None:
            where = out.bottom if out.bottom.shape[1] == 1 else vectors
        if isinstance(where, dict) and not where:
            rule = "be 'parameters' where a bottom gives each task a representation and there are no embedding tables"
            raise ValueError(
                error_text("MultiTaskModel", "balance_at", rule, model.balance_at, "Tasks meet nowhere else.")
            )
        own_gradients = tape.gradient(out.scaled_losses, own)
        added = None if out.scaled_rest is None else tape.gradient(out.scaled_rest, (below, vectors))
        cotangents = task_cotangents(tape, forward, out)
        zero = tf.UnconnectedGradients.ZERO
        reached = [
            tf.nest.flatten(tape.gradient(out.hidden, where, cotangent, unconnected_gradients=zero))
            for cotangent in cotangents
        ]
        gramian = sum_over_replicas(tf.add_n([_gramian(forward, parts) for parts in zip(*reached, strict=True)]))
        weights = balancer.weights(sum_over_replicas(out.contributions), gramian, forward.losses.present)
        weighted = tf.add_n(
            [tf.cast(weight, part.dtype) * part for weight, part in zip(tf.unstack(weights), cotangents, strict=True)]
        )
        gradients = tape.gradient(out.hidden, (below, vectors), weighted)
        if added is not None:
            gradients = tf.nest.map_structure(add_gradients, gradients, added)
        by_weight = dict(zip(map(id, own + below), [*own_gradients, *gradients[0]], strict=True))
        dense = [by_weight[id(weight)] for weight in forward.dense]
        return dense, gradients[1], out.raw, out.loss, out.contributions, out.means

    return StepGradients(*forward.compiled(differentiate)(forward.vectors()))


def _gramian(forward: ForwardPass, parts: tuple[Tensor, ...]) -> Tensor:
    matrix = tf.stack([tf.reshape(forward.unscaled(tf.cast(part, tf.float32)), (-1,)) for part in parts])
    return tf.matmul(matrix, matrix, transpose_b=True)
