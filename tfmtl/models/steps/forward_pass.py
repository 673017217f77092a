"""The forward pass of a training step, from the rows of the tables to the tasks' losses, here or at moved weights."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.models.batch_losses import BatchLosses
from tfmtl.models.steps.projected_fields import ProjectedFields, projected_fields
from tfmtl.models.trainable_network import TrainableNetwork


@dataclass(frozen=True)
class Perturbation:
    """The values that are added to the weights for a pass.

    Args:
        dense: a tensor for each of `ForwardPass.dense`.
        rows: width -> what is added to the looked-up rows, `(B, n, width)`; empty where they stay.
        states: variables and the values they have in the pass, such as the seeds of dropout.
    """

    dense: list[Tensor]
    rows: dict[str, Tensor]
    states: list[tuple[keras.Variable, Tensor]]

    def scope(self, weights: Sequence[keras.Variable]) -> keras.StatelessScope:
        """In it the weights read as moved, and whatever layers assign is dropped.

        The sums are made here, under the tape of the caller: the gradient with respect to a weight is then the
        gradient at the moved weight.
        """
        moved = [(weight, weight.value + added) for weight, added in zip(weights, self.dense, strict=True)]
        return keras.StatelessScope([*moved, *self.states], collect_losses=True)


Vectors = dict[str, Tensor]
"""What `FeatureEmbedding.lookup` returned."""


@dataclass(frozen=True)
class Outputs:
    """The results of a forward pass.

    Args:
        bottom: `(B, S, H)`, the bottom's output.
        hidden: `(B, T, H')`, the sharing layer's output; all layers above it belong to single tasks.
        raw: task -> `(B,)`, the heads' outputs.
        contributions: `(T,)`, this replica's parts of the tasks' weighted losses.
        means: `(T,)`, the tasks' own mean losses.
        loss: scalar, the contributions and what is added to them.
        scaled_parts: the contributions one by one, as the optimizer wants them to be differentiated.
        scaled_rest: what is added to them, likewise, or `None`.
    """

    bottom: Tensor
    hidden: Tensor
    raw: dict[str, Tensor]
    contributions: Tensor
    means: Tensor
    loss: Tensor
    scaled_parts: list[Tensor]
    scaled_rest: Tensor | None

    @property
    def scaled_losses(self) -> list[Tensor]:
        """All that a step lowers: the tasks' parts and, last, the rest if there is one."""
        return self.scaled_parts if self.scaled_rest is None else [*self.scaled_parts, self.scaled_rest]


class ForwardPass:
    """A batch with everything that a differentiable forward pass needs.

    The rows of the tables are looked up beforehand and are inputs of the pass: their gradient has a row a look-up,
    whatever the size of the tables, and XLA, which would copy a table, never sees one.

    Args:
        model: `MultiTaskModel`.
        features: dict of tensors, the batch.
        losses: `BatchLosses` of the batch.
        jit_compile: bool. Whether `compiled` compiles with XLA.
    """

    def __init__(
        self, model: TrainableNetwork, features: Mapping[str, Tensor], losses: BatchLosses, jit_compile: bool
    ) -> None:
        self.model = model
        self.losses = losses
        features = model.embedding.augment(features, training=True)  # once: further passes read the same
        self.row_ids = model.embedding.row_ids(features)
        self.rows = tf.shape(next(iter(features.values())))[0]
        self._features = features
        self._correlation = losses.correlation()
        self._jit_compile = jit_compile
        self._perturbation: Perturbation | None = None
        tables = {id(table) for table in model.embedding.tables.values()}
        self.dense: list[keras.Variable] = [v for v in model.trainable_weights if id(v) not in tables]

    def task_weights(self) -> list[keras.Variable]:
        """The dense weights above what tasks share."""
        above = {id(weight) for layer in self.model.task_layers() for weight in layer.trainable_weights}
        return [weight for weight in self.dense if id(weight) in above]

    def weights_below(self) -> list[keras.Variable]:
        """The other dense weights."""
        above = {id(weight) for weight in self.task_weights()}
        return [weight for weight in self.dense if id(weight) not in above]

    def at(self, perturbation: Perturbation) -> "ForwardPass":
        """The same pass at moved weights: gradients with respect to a weight are then those at the moved weight.

        Nothing is written to a weight, and what layers assign in the pass is dropped.
        """
        moved = copy.copy(self)
        moved._perturbation = perturbation
        return moved

    def vectors(self, projected: ProjectedFields | None = None) -> Vectors:
        """The rows of the tables that the batch reads, as they stand; without those of projected fields."""
        ids = dict(self.row_ids)
        if projected is not None:
            ids[projected.width] = projected.other_ids(ids[projected.width])
        return dict(self.model.embedding.lookup(ids))

    def unscaled(self, gradient: Tensor) -> Tensor:
        """A gradient of a scaled loss as it is without the optimizer's loss scale, float32 at least.

        Balancers see gradients so: a step whose length is the method's own would otherwise be divided by the scale.
        """
        one = tf.ones((), tf.float32)
        scale = self.model.optimizer.scale_loss(one)
        return gradient if scale is one else tf.cast(gradient, tf.float32) / scale

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, compiled with XLA if the model is."""
        return tf.function(function, jit_compile=True, autograph=False) if self._jit_compile else function

    @property
    def projected(self) -> ProjectedFields | None:
        """The fields that a plain step projects before it looks them up, if there are any."""
        if self.model.sharpness is not None:  # which moves the rows that were looked up
            return None
        batch_sizes = [ids.shape[0] for ids in self.row_ids.values()]
        return projected_fields(self.model, batch_sizes[0] if batch_sizes else None)

    def run(self, vectors: Vectors, offset: Tensor | None = None) -> Outputs:
        """Sends the batch through the model, in training mode.

        Args:
            vectors: what `vectors` returned.
            offset: added to the representation that the sharing layer's tasks have in common, or `None`.
        """
        moved = self._perturbation
        if moved is None:
            return self._run(vectors, offset)
        vectors = {width: rows + moved.rows[width] if width in moved.rows else rows for width, rows in vectors.items()}
        with moved.scope(self.dense):
            return self._run(vectors, offset)

    def _run(self, vectors: Vectors, offset: Tensor | None) -> Outputs:
        model = self.model
        bottom = model.bottom(model.embedding(self._features, vectors, training=True), training=True)
        hidden = model.share(bottom, training=True, label_correlation=self._correlation, offset=offset)
        raw = model.head_outputs(hidden, training=True)
        contributions, rest, means = self.losses.of(raw, list(model.losses))
        scale = model.optimizer.scale_loss
        loss = tf.reduce_sum(contributions)
        return Outputs(
            bottom,
            hidden,
            raw,
            contributions,
            means,
            loss if rest is None else loss + rest,
            [scale(part) for part in tf.unstack(contributions)],
            None if rest is None else scale(rest),
        )
