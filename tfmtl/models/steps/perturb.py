"""Perturb a model's weights with a method of `tfmtl.sharpness`."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from tfmtl.core.replicas import sum_over_replicas
from tfmtl.core.types import Tensor
from tfmtl.models.steps.distinct_rows import distinct_rows
from tfmtl.models.steps.forward_pass import ForwardPass, Vectors
from tfmtl.models.steps.perturbation import Perturbation
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
