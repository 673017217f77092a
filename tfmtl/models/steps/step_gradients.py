"""What a way of differentiating returns; and the plain one, the gradient of the sum of the tasks' losses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfmtl.balancing import Balancer
from tfmtl.core.replicas import sum_over_replicas
from tfmtl.core.types import Tensor
from tfmtl.layers.dense.given_products import given_products
from tfmtl.models.steps.forward_pass import ForwardPass, Outputs, Vectors
from tfmtl.models.steps.projected_fields import ProjectedFields, product, transposed


@dataclass(frozen=True)
class StepGradients:
    """The gradients of a step, and the values of its forward pass for the metrics.

    Args:
        dense: a gradient (or `None`) for each of `ForwardPass.dense`.
        rows: width -> gradient of what was looked up, `(B, n, width)`, or that of the table, or `None`.
        raw: task -> `(B,)`, the heads' outputs.
        loss: scalar, this replica's part of the loss before balancing.
        contributions: `(T,)`, its parts of the tasks' weighted losses.
        means: `(T,)`, the tasks' own mean losses.
        weights: `(T,)`, what the losses were multiplied by before they were differentiated; `None` for nothing.
    """

    dense: list[Tensor | None]
    rows: dict[str, Tensor | tf.IndexedSlices | None]
    raw: dict[str, Tensor]
    loss: Tensor
    contributions: Tensor
    means: Tensor
    weights: Tensor | None = None


def add_gradients(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    """The sum of two gradients, either of which a tape may have found to be none."""
    if one is None or other is None:
        return other if one is None else one
    return one + other


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


def summed_gradients(forward: ForwardPass, balancer: Balancer | None, weights: Tensor | None = None) -> StepGradients:
    """One backward pass; a balancer weighs the losses by what they are, without being differentiated itself.

    Args:
        forward: `ForwardPass`.
        balancer: `Balancer` that reads no gradients, or `None` for the sum.
        weights: its earlier weights, `(T,)`, for a pass in which it is not called again. Defaults to `None`.
    """

    projected = forward.projected
    if projected is not None:
        return _with_projected_fields(forward, projected, balancer)

    def differentiate(vectors: Vectors) -> tuple[Any, ...]:
        with tf.GradientTape() as tape:
            tape.watch(vectors)
            out = forward.run(vectors)
        return _differentiated(tape, forward, out, (forward.dense, vectors), balancer, weights)

    (dense, rows), *rest = forward.compiled(differentiate)(forward.vectors())
    return StepGradients(dense, rows, *rest)


def _differentiated(
    tape: tf.GradientTape,
    forward: ForwardPass,
    out: Outputs,
    sources: Any,
    balancer: Balancer | None,
    weights: Tensor | None,
) -> tuple[Any, ...]:
    """The gradients with respect to `sources`, then the other values of `StepGradients`."""
    if weights is None and balancer is not None:
        weights = balancer.weights(sum_over_replicas(out.contributions), None, forward.losses.present)
    factors = None
    if weights is not None:
        factors = [*tf.unstack(weights), *([] if out.scaled_rest is None else [tf.ones(())])]
    gradients = tape.gradient(out.scaled_losses, sources, factors)
    return gradients, out.raw, out.loss, out.contributions, out.means, weights


def _with_projected_fields(
    forward: ForwardPass, projected: ProjectedFields, balancer: Balancer | None
) -> StepGradients:
    """The same gradients, where some fields enter as rows of products."""
    table = forward.model.embedding.tables[projected.width]
    row_ids = forward.row_ids[projected.width]
    kernels = [layer.kernel for layer in projected.layers]

    def differentiate(vectors: Vectors, summed: Tensor) -> tuple[Any, ...]:
        with tf.GradientTape() as tape:
            tape.watch((vectors, summed))
            whole = {**vectors, projected.width: projected.with_zeros(vectors[projected.width])}
            with given_products(projected.given(summed)):
                out = forward.run(whole)
        return _differentiated(tape, forward, out, (forward.dense, vectors, summed), balancer, None)

    rows, counts = projected.read_rows(row_ids)
    matrix = projected.matrix(rows, counts)
    tables, values = tf.gather(table.value, projected.table_rows()), [tf.convert_to_tensor(k) for k in kernels]
    summed = product(matrix, forward.compiled(projected.project)(tables, values))
    vectors = forward.vectors(projected)
    (dense, looked_up, cotangent), *rest = forward.compiled(differentiate)(vectors, summed)
    back = product(transposed(matrix), cotangent)
    table_gradient, kernel_gradients = forward.compiled(projected.project_back)(tables, values, back)
    own = {id(kernel): gradient for kernel, gradient in zip(kernels, kernel_gradients, strict=True)}
    dense = [add_gradients(found, own.get(id(v))) for found, v in zip(dense, forward.dense, strict=True)]
    slices = projected.slices(row_ids, looked_up[projected.width], rows, table_gradient)
    return StepGradients(dense, {**looked_up, projected.width: slices}, *rest)
