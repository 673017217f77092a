"""The tasks' gradients one by one, balanced by their Gramian: at the shared weights, or where the tasks meet."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfmtl.balancing import Balancer
from tfmtl.core.replicas import gather_over_replicas, sum_over_replicas
from tfmtl.core.types import Tensor
from tfmtl.layers.sharing.sharing_layer import SharingLayer
from tfmtl.models.steps.forward_pass import ForwardPass, Outputs, Vectors
from tfmtl.models.steps.step_gradients import StepGradients, add_gradients, all_gradients
from tfmtl.optimizers import sum_duplicates
from tfmtl.schema.checks import error_text


def distinct_rows(gradients: Tensor, row_ids: Tensor) -> tuple[Tensor, Tensor]:
    """Every row that some replica looked up once, with the sum of the gradients of its look-ups.

    Args:
        gradients: of this replica's look-ups, `(N, size)`.
        row_ids: the rows that they looked up, of N elements in any shape.

    Returns:
        ids `(U,)` and gradients `(U, size)`.
    """
    ids = gather_over_replicas(tf.reshape(row_ids, (-1,)))
    return sum_duplicates(tf.IndexedSlices(gather_over_replicas(gradients), ids))


def gramian(forward: ForwardPass, dense: Sequence[Tensor], rows: Mapping[str, Tensor]) -> Tensor:
    """The Gramian of the tasks' gradients of the whole batch, `(T, T)`, without the optimizer's loss scale.

    Of the tables, the rows that the batch touched enter, those looked up several times once, by their summed gradient.

    Args:
        forward: `ForwardPass`.
        dense: the tasks' gradients of a weight, `(T, size)`, for every weight.
        rows: width -> those of what was looked up, `(B, n, T, width)`.
    """
    products = []
    for matrix in dense:
        whole = sum_over_replicas(forward.unscaled(matrix))
        products.append(tf.matmul(whole, whole, transpose_b=True))
    return tf.add_n([*products, *(_row_gramian(forward, values, width) for width, values in rows.items())])


def _row_gramian(forward: ForwardPass, values: Tensor, table: str) -> Tensor:
    """The part of a table, `(T, T)`, from the gradients of its look-ups, `(B, n, T, width)`."""
    tasks, width = values.shape[2:]
    values = tf.reshape(forward.unscaled(values), (-1, tasks * width))
    _, summed = distinct_rows(values, forward.row_ids[table])  # (rows, T * width)
    summed = tf.reshape(summed, (-1, tasks, width))
    return tf.einsum("rtw,rsw->ts", summed, summed)


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
        products = sum_over_replicas(tf.add_n([_products(forward, parts) for parts in zip(*reached, strict=True)]))
        weights = balancer.weights(sum_over_replicas(out.contributions), products, forward.losses.present)
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


def _products(forward: ForwardPass, parts: tuple[Tensor, ...]) -> Tensor:
    matrix = tf.stack([tf.reshape(forward.unscaled(tf.cast(part, tf.float32)), (-1,)) for part in parts])
    return tf.matmul(matrix, matrix, transpose_b=True)
