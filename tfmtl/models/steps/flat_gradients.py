"""Steps towards flat minima: the gradient where the losses are worst nearby, of their sum or of each task."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import keras
import tensorflow as tf

from tfmtl.balancing import Balancer
from tfmtl.core.replicas import sum_over_replicas
from tfmtl.core.types import Tensor
from tfmtl.models.steps.forward_pass import ForwardPass, Perturbation, Vectors
from tfmtl.models.steps.step_gradients import StepGradients, all_gradients, summed_gradients
from tfmtl.models.steps.task_gradients import distinct_rows, gramian
from tfmtl.schema.checks import error_text
from tfmtl.sharpness import Sharpness

States = list[tuple[keras.Variable, Tensor]]


def pass_states(forward: ForwardPass) -> States:
    """The state that a forward pass may change: a second pass that starts from it differs only by its weights.

    Dropout then drops the same in both.
    """
    model = forward.model
    metrics = {id(variable) for metric in model.metrics for variable in metric.variables}
    variables = [variable for variable in model.non_trainable_variables if id(variable) not in metrics]
    return [(variable, tf.identity(variable.value)) for variable in variables]


def perturb(
    forward: ForwardPass,
    sharpness: Sharpness,
    dense: Sequence[Tensor | None],
    rows: dict[str, Tensor | None],
    states: States,
) -> Perturbation:
    """The perturbation that follows from a gradient, that of the whole batch where there are several replicas.

    Args:
        forward: `ForwardPass`.
        sharpness: `Sharpness`.
        dense: a gradient (or `None`) for each of `forward.dense`.
        rows: width -> gradient of what was looked up, `(B, n, width)`, or `None`.
        states: what `pass_states` returned.
    """
    own = {id(weight) for weight in [*forward.task_weights(), *forward.model.private_weights()]}
    weights = [tf.convert_to_tensor(weight) for weight in forward.dense]
    zeros = [tf.zeros_like(w) if g is None else tf.convert_to_tensor(g) for w, g in zip(weights, dense, strict=True)]
    gradients = [sum_over_replicas(gradient) for gradient in zeros]
    mine = [k for k, weight in enumerate(forward.dense) if id(weight) in own]
    shared = [k for k, weight in enumerate(forward.dense) if id(weight) not in own]
    tables = _Rows(forward, rows) if sharpness.embeddings else None
    widths = [] if tables is None else list(tables.values)
    moved = sharpness.perturbation(
        [*(weights[k] for k in shared), *([] if tables is None else tables.values.values())],
        [*(gradients[k] for k in shared), *([] if tables is None else tables.gradients.values())],
    )
    found = dict(zip(shared, moved[: len(shared)], strict=True))
    found |= zip(mine, sharpness.perturbation([weights[k] for k in mine], [gradients[k] for k in mine]), strict=True)
    by_width = dict(zip(widths, moved[len(shared) :], strict=True))
    looked_up = {} if tables is None else {width: tables.at_lookups(width, by_width[width]) for width in widths}
    return Perturbation([found[k] for k in range(len(weights))], looked_up, states)


class _Rows:
    """The distinct rows of the tables that the whole batch reads, and their summed gradients."""

    def __init__(self, forward: ForwardPass, gradients: dict[str, Tensor | None]) -> None:
        self._row_ids = forward.row_ids
        self._ids: dict[str, Tensor] = {}
        self.gradients: Vectors = {}
        self.values: Vectors = {}
        for width, gradient in gradients.items():
            if gradient is None:
                continue
            values = tf.reshape(gradient, (-1, int(width)))
            self._ids[width], self.gradients[width] = distinct_rows(values, forward.row_ids[width])
        self.values = dict(forward.model.embedding.lookup(self._ids))

    def at_lookups(self, width: str, values: Tensor) -> Tensor:
        """Values of the distinct rows, wherever this replica reads them: `(U, width)` -> `(B, n, width)`."""
        looked_up = self._row_ids[width]
        both = tf.concat([self._ids[width], tf.reshape(looked_up, (-1,))], axis=0)
        positions = tf.unique(both).idx[tf.size(self._ids[width]) :]  # the distinct ids come first, in their order
        return tf.gather(values, tf.reshape(positions, tf.shape(looked_up)))


def flat_gradients(
    forward: ForwardPass,
    sharpness: Sharpness,
    balancer: Balancer | None,
    gradients_at: Callable[[ForwardPass], StepGradients],
) -> StepGradients:
    """Two passes: one for the direction of the perturbation, one for the gradient there.

    A balancer of losses weighs them in both passes alike. One that reads gradients balances those of the second pass,
    which make the step; the direction of the perturbation is that of the plain sum. Either is asked once, so its
    history moves once. The metrics are of the first pass.

    Args:
        forward: `ForwardPass`.
        sharpness: `Sharpness`, not decomposed.
        balancer: `Balancer` or `None`.
        gradients_at: how to balance gradients, for a balancer that reads them.
    """
    states = pass_states(forward)
    reads_gradients = balancer is not None and balancer.uses_gramian
    first = summed_gradients(forward, None if reads_gradients else balancer)
    moved = forward.at(perturb(forward, sharpness, first.dense, first.rows, states))
    second = gradients_at(moved) if reads_gradients else summed_gradients(moved, balancer, first.weights)
    return replace(first, dense=second.dense, rows=second.rows)


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
