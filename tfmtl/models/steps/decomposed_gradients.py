"""Decomposed sharpness: gradients of loss and of flatness per task, balanced separately."""

from typing import Any, cast

import tensorflow as tf

from tfmtl.balancing import Balancer
from tfmtl.core.replicas import sum_over_replicas
from tfmtl.core.types import Tensor
from tfmtl.models.steps.all_gradients import all_gradients
from tfmtl.models.steps.forward_pass import ForwardPass, Vectors
from tfmtl.models.steps.gramian import gramian
from tfmtl.models.steps.perturb import pass_states, perturb
from tfmtl.models.steps.step_gradients import StepGradients
from tfmtl.schema.checks import error_text
from tfmtl.sharpness import Sharpness


def flat_balancer(balancer: Balancer | None, sharpness: Sharpness | None, balance_at: str) -> Balancer | None:
    """The balancer of the flat gradients, or `None`: the same method, with a separate state.

    Raises:
        ValueError: Gradients are to be balanced at a representation.
    """
    if sharpness is None or not sharpness.decomposed:
        return None
    if balance_at != "parameters":
        rule, advice = "be 'parameters' for decomposed sharpness", "Every task is differentiated down to its weights."
        raise ValueError(error_text("MultiTaskModel", "balance_at", rule, balance_at, advice))
    if balancer is None or not balancer.uses_gramian:
        return None
    return cast("Balancer", type(balancer).from_config(balancer.get_config()))


def decomposed_gradients(
    forward: ForwardPass, sharpness: Sharpness, balancer: Balancer | None, flat_balancing: Balancer | None
) -> StepGradients:
    """For every task a perturbation of its own, and the change `g_flat = g_sam - g` that it makes in its gradient.

    What tasks share takes `aggregate(g) + aggregate(g_flat)`, what belongs to single tasks `g_sam`. What is added to
    the tasks' losses is no task's, and enters by its gradient at the weights themselves.

    Args:
        forward: `ForwardPass`.
        sharpness: `Sharpness`.
        balancer: `Balancer` of the losses or of their gradients; `None` for the sum.
        flat_balancing: another one of its kind for the flat gradients, with a history of its own, if the first reads
            gradients; otherwise its weights hold for both.
    """
    states = pass_states(forward)
    dense = forward.dense

    def at_weights(vectors: Vectors) -> tuple[Any, ...]:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(vectors)
            out = forward.run(vectors)
        apart = [all_gradients(tape, part, dense, vectors) for part in out.scaled_parts]
        added = None if out.scaled_rest is None else all_gradients(tape, out.scaled_rest, dense, vectors)
        return apart, added, out.raw, out.loss, out.contributions, out.means

    def nearby(task: int, moved: ForwardPass) -> Any:
        def differentiate(vectors: Vectors) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(vectors)
                part = moved.run(vectors).scaled_parts[task]
            return all_gradients(tape, part, dense, vectors)

        return moved.compiled(differentiate)(moved.vectors())

    apart, added, raw, loss, contributions, means = forward.compiled(at_weights)(forward.vectors())
    perturbations = [perturb(forward, sharpness, own, rows, states) for own, rows in apart]
    sam = [nearby(task, forward.at(perturbation)) for task, perturbation in enumerate(perturbations)]
    private = {id(weight) for weight in [*forward.task_weights(), *forward.model.private_weights()]}
    is_shared = [id(weight) not in private for weight in dense]
    losses, flat = _matrices(apart), _matrices(sam)
    flat = tf.nest.map_structure(tf.subtract, flat, losses)
    weights, flat_weights, own_weights = _weigh(
        forward, balancer, flat_balancing, sum_over_replicas(contributions), is_shared, losses, flat
    )
    combined = []
    for weight, shared, one, other in zip(dense, is_shared, losses[0], flat[0], strict=True):
        factors = (weights, flat_weights) if shared else (own_weights, own_weights)
        total = tf.linalg.matvec(one, factors[0], True) + tf.linalg.matvec(other, factors[1], True)
        combined.append(tf.reshape(total, weight.shape))
    rows = {
        width: tf.einsum("bntw,t->bnw", one, weights) + tf.einsum("bntw,t->bnw", flat[1][width], flat_weights)
        for width, one in losses[1].items()
    }
    if added is not None:
        combined = [gradient + more for gradient, more in zip(combined, added[0], strict=True)]
        rows = {width: gradient + added[1][width] for width, gradient in rows.items()}
    return StepGradients(combined, rows, raw, loss, contributions, means)


def _matrices(apart: list[Any]) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Gradients task by task as one `(T, size)` for each weight, and width -> `(B, n, T, width)`."""
    by_weight = zip(*(gradients for gradients, _ in apart), strict=True)
    dense = [tf.stack([tf.reshape(gradient, (-1,)) for gradient in parts]) for parts in by_weight]
    return dense, {width: tf.stack([rows[width] for _, rows in apart], axis=2) for width in apart[0][1]}


def _weigh(
    forward: ForwardPass,
    balancer: Balancer | None,
    flat_balancing: Balancer | None,
    contributions: Tensor,
    is_shared: list[bool],
    losses: tuple[list[Tensor], dict[str, Tensor]],
    flat: tuple[list[Tensor], dict[str, Tensor]],
) -> tuple[Tensor, Tensor, Tensor]:
    """The tasks' weights, each `(T,)`, for the gradients of loss, of flatness, and of what belongs to single tasks."""
    present, ones = forward.losses.present, tf.ones_like(contributions)
    if balancer is None:
        return ones, ones, ones
    if flat_balancing is None:
        weights = balancer.weights(contributions, None, present)
        return weights, weights, weights
    found = []
    for method, (dense, rows) in ((balancer, losses), (flat_balancing, flat)):
        shared = [matrix for matrix, counts in zip(dense, is_shared, strict=True) if counts]
        found.append(method.weights(contributions, gramian(forward, shared, rows), present))
    return found[0], found[1], ones
