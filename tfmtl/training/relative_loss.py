"""The loss of a model beside that of a constant, which makes tasks of all kinds comparable."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfmtl.core.label_parts import label_parts
from tfmtl.core.row_weights import row_weights
from tfmtl.models import MultiTaskModel

RELATIVE_LOSS = "val_mean_relative_loss"
"""Metric: mean over the tasks of the validation loss relative to that of a constant."""


@dataclass(frozen=True)
class ConstantLosses:
    """The losses of a constant, by task, and how others compare with them: 1 is as good as it, less is better.

    A loss is divided by the constant's; of a yes/no task that is the normalized entropy. Where the loss is that of a
    density, whose sign says nothing, or the constant's is 0, it is 1 and the difference of the two.

    Args:
        losses: task -> the constant's loss.
        by_difference: tasks whose losses are not divided.
    """

    losses: Mapping[str, float]
    by_difference: frozenset[str] = frozenset()

    def relative(self, logs: Mapping[str, float]) -> dict[str, float]:
        """Task -> its validation loss relative to the constant's.

        Args:
            logs: metrics of an epoch.
        """
        found = {}
        for name, constant in self.losses.items():
            loss = float(logs[f"val_{name}/loss"])
            is_divided = name not in self.by_difference and constant > 0.0
            found[name] = loss / constant if is_divided else 1.0 + loss - constant
        return found


def constant_losses(model: MultiTaskModel, batches: Iterable[Any]) -> ConstantLosses:
    """The losses of what the heads answer before they have learned: constants from the training labels.

    Tasks without a label in the batches are left out.

    Args:
        model: a model that has not been trained.
        batches: `(features, labels)`.
    """
    bottom = model.bottom.compute_output_shape(model.embedding.compute_output_shape())
    width = model.sharing.compute_output_shape(bottom)[1:]
    answers = model.head_outputs(tf.zeros((1, *width), model.compute_dtype), training=False)
    sums = dict.fromkeys(model.heads, 0.0)
    counts = dict.fromkeys(model.heads, 0.0)
    for _, given in batches:
        labels = {key: tf.cast(value, tf.float32) for key, value in model.labels_by_task(given).items()}
        rows = tf.shape(next(iter(labels.values())))[0]
        weights = row_weights(model.inputs.problem, labels)
        raw = {name: tf.repeat(answer, rows, axis=0) for name, answer in answers.items()}
        losses = model.task_losses(raw, labels, weights)
        read = model.task_chain.loss_labels(labels)
        for task in model.inputs.problem.tasks:
            known = tf.cast(model.behaviors[task.name].known(label_parts(task, read)), tf.float32)
            counted = known if weights[task.name] is None else tf.where(known > 0.0, weights[task.name], 0.0)
            count = float(tf.reduce_sum(counted))
            sums[task.name] += float(losses[task.name]) * count
            counts[task.name] += count
    found = {name: sums[name] / count for name, count in counts.items() if count > 0.0}
    return ConstantLosses(found, frozenset(name for name in found if model.behaviors[name].loss_is_density))


class RelativeLoss(keras.callbacks.Callback):
    """Adds the metric `val_mean_relative_loss` to what is known at the end of an epoch.

    It has to stand before the callbacks that read it.

    Args:
        constants: what `constant_losses` returned; of one task at least.
    """

    def __init__(self, constants: ConstantLosses) -> None:
        super().__init__()
        self._constants = constants

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            found = self._constants.relative(logs)
            logs[RELATIVE_LOSS] = sum(found.values()) / len(found)


def worse_than_a_constant(relative: Mapping[str, float]) -> str | None:
    """One line on the tasks that a constant predicts better than the kept model; `None` if there are none."""
    worse = [f"{name} {value:.4f}" for name, value in relative.items() if value > 1.0]
    if not worse:
        return None
    return f"Worse than a constant on the validation split (loss relative to the constant's): {', '.join(worse)}."
