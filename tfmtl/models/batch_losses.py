"""The losses of a replica's rows, as parts of the losses of the whole batch."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfmtl.core.label_correlation import label_correlation, label_moments
from tfmtl.core.label_parts import label_parts
from tfmtl.core.replicas import sum_over_replicas
from tfmtl.core.row_weights import metric_weights, row_weights
from tfmtl.core.types import Tensor
from tfmtl.models.trainable_network import TrainableNetwork
from tfmtl.schema import TaskRecord


class BatchLosses:
    """The contribution of a replica's rows to the losses of a step and to the running metrics.

    Replicas sum their gradients, and labels may be missing unevenly: a replica contributes to a task's mean by the
    labels it holds, so that the sum over replicas is the mean over the whole batch. All values that replicas exchange
    are exchanged here, before the forward pass, so that the pass itself can be compiled by XLA.

    Shapes: B the replica's rows, T tasks.

    Args:
        model: `TrainableNetwork`.
        features: dict of tensors, the batch.
        labels: task -> `(B,)`, NaN where missing.
        weights: of the rows, `(B,)` for all tasks, a dict by task, or `None`: all rows count once. They are multiplied
            with the weights that the problem names.
        training: bool. Whether labels are smoothed, as `compile` was told. Defaults to `False`.
    """

    def __init__(
        self,
        model: TrainableNetwork,
        features: Mapping[str, Tensor],
        labels: Mapping[str, Tensor],
        weights: Any,
        training: bool = False,
    ) -> None:
        self._model = model
        self._smoothing = model.label_smoothing if training else 0.0
        self._tasks = model.inputs.problem.tasks
        labels = model.labels_by_task(labels)
        self.labels = {key: tf.cast(labels[key], tf.float32) for key in model.inputs.problem.label_keys}
        given, problem = model.weights_by_task(weights), model.inputs.problem
        self._own_weights = _product(given, row_weights(problem, self.labels))
        self._metric_weights = _product(given, metric_weights(problem, self.labels))
        chain = model.task_chain
        read, counted = chain.loss_labels(self.labels), chain.counted_labels(self.labels)
        self._counts = [self._label_weight(task, read) for task in self._tasks]
        shares = [self._label_weight(task, counted) for task in self._tasks]
        rows = tf.cast(tf.shape(next(iter(features.values())))[0], tf.float32)
        self._chain_weights = chain.row_weights(self._own_weights)
        chain_rows = rows if self._chain_weights is None else tf.reduce_sum(self._chain_weights)
        self._all_rows, all_chain_rows, *all_counts = tf.unstack(
            sum_over_replicas(tf.stack([rows, chain_rows, *shares]))
        )
        self._factors = [
            task.weight * tf.math.divide_no_nan(count, total)
            for task, count, total in zip(self._tasks, self._counts, all_counts, strict=True)
        ]
        self._chain_share = tf.math.divide_no_nan(chain_rows, all_chain_rows)
        self.present = tf.stack(all_counts) > 0.0  # (T,), whether a task has a label anywhere in the batch
        self._replicas = tf.distribute.get_strategy().num_replicas_in_sync

    def correlation(self) -> Tensor | None:
        """The correlation of the labels of the whole batch, `(T, T)`; `None` if the sharing layer does not use it."""
        sharing = self._model.sharing
        if not sharing.uses_label_correlation:
            return None
        columns = tf.stack([self.labels[name] for name in self._model.heads], axis=1)  # (B, T)
        # Large values would lose their spread in float32 sums; a cosine is not the same about another origin.
        label_means, measure = self._model.inputs.label_means, sharing.correlation
        means = [label_means[name] if measure == "pearson" else 0.0 for name in self._model.heads]
        return label_correlation(sum_over_replicas(label_moments(columns, tf.constant(means, tf.float32))), measure)

    def of(self, raw: Mapping[str, Tensor], added: list[Tensor]) -> tuple[Tensor, Tensor | None, Tensor]:
        """The contributions to the tasks' weighted losses, to the rest of the loss, and the tasks' own mean losses.

        Args:
            raw: what `MultiTaskModel.raw_outputs` returned.
            added: losses that layers added in the forward pass.

        Returns:
            tuple: `(T,)`, scalar or `None` if nothing is added to the tasks' losses, `(T,)`.
        """
        losses = self._model.task_losses(raw, self.labels, self._own_weights, self._smoothing)
        means = tf.stack([losses[task.name] for task in self._tasks])
        contributions = means * tf.stack(self._factors)
        model = self._model
        propensity = model.task_chain.propensity_losses(raw, self.labels, self._own_weights, model.least_propensity)
        if propensity:
            parts = tf.unstack(contributions)
            for k, loss in propensity.items():
                parts[k] += model.propensity_weight * self._factors[k] * loss
            contributions = tf.stack(parts)
        rest = []
        if self._model.expectation_weight:
            predictions = self._model.predictions(raw)
            excess = self._model.task_chain.excess(predictions, self._chain_weights)
            rest.append(self._model.expectation_weight * excess * self._chain_share)
        if self._model.consistency_weight:
            apart = tf.reduce_sum(self._model.disagreement(raw)) / self._all_rows
            rest.append(self._model.consistency_weight * apart)
        rest += [tf.cast(extra, tf.float32) / self._replicas for extra in added]
        return contributions, tf.add_n(rest) if rest else None, means

    def record(self, raw: Mapping[str, Tensor], loss: Tensor, means: Tensor) -> None:
        """Updates all running metrics.

        Args:
            raw: what `MultiTaskModel.raw_outputs` returned.
            loss: scalar, this replica's part of the loss.
            means: `(T,)`, the tasks' own mean losses, as `of` returned them.
        """
        predictions = self._model.predictions(raw)
        self._model.loss_tracker.update_state(loss * self._replicas, sample_weight=self._all_rows / self._replicas)
        for task, mean, count in zip(self._tasks, tf.unstack(means), self._counts, strict=True):
            self._model.loss_metrics[task.name].update_state(mean, sample_weight=count)
            outputs = {output.suffix: predictions[task.key(output.suffix)] for output in task.outputs}
            self._model.behaviors[task.name].update_metric(
                self._model.task_metrics[task.name],
                label_parts(task, self.labels),
                outputs,
                self._metric_weights[task.name],
            )

    def _label_weight(self, task: TaskRecord, labels: Mapping[str, Tensor]) -> Tensor:
        """The number of labels of a task, or the sum of their weights."""
        known = self._model.behaviors[task.name].known(label_parts(task, labels))
        weights = self._own_weights[task.name]
        weights = tf.ones_like(labels[task.name]) if weights is None else tf.cast(weights, tf.float32)
        return tf.reduce_sum(tf.where(known, weights, 0.0))


def _product(one: Mapping[str, Tensor | None], other: Mapping[str, Tensor | None]) -> dict[str, Tensor | None]:
    """Task -> the product of both weights, or the one that there is."""
    found: dict[str, Tensor | None] = {}
    for name, first in one.items():
        second = other[name]
        both = first is not None and second is not None
        found[name] = tf.cast(first, tf.float32) * second if both else second if first is None else first
    return found
