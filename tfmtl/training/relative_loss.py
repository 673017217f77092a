"""The loss of a model beside that of a constant, which makes tasks of all kinds comparable."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import tensorflow as tf

from tfmtl.core.label_parts import label_parts
from tfmtl.core.row_weights import row_weights
from tfmtl.models import MultiTaskModel

RELATIVE_LOSS = "val_mean_relative_loss"
"""Metric: mean over the tasks of the validation loss divided by that of a constant."""


def constant_losses(model: MultiTaskModel, batches: Iterable[Any]) -> dict[str, float]:
    """Task -> the loss of what its head answers before it has learned: a constant from the training labels.

    Tasks without a label in the batches are left out, and those whose loss may be below 0, which cannot be a divisor.
    Of a yes/no task the quotient of a loss and this one is the normalized entropy.

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
    return {name: loss for name, loss in found.items() if loss > 0.0}


def relative_losses(constants: Mapping[str, float], logs: Mapping[str, float]) -> dict[str, float]:
    """Task -> its validation loss divided by a constant's.

    Args:
        constants: what `constant_losses` returned.
        logs: metrics of an epoch.
    """
    return {name: float(logs[f"val_{name}/loss"]) / constant for name, constant in constants.items()}


class RelativeLoss(keras.callbacks.Callback):
    """Adds the metric `val_mean_relative_loss` to what is known at the end of an epoch.

    It has to stand before the callbacks that read it.

    Args:
        constants: what `constant_losses` returned; of one task at least.
    """

    def __init__(self, constants: Mapping[str, float]) -> None:
        super().__init__()
        self._constants = dict(constants)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            found = relative_losses(self._constants, logs)
            logs[RELATIVE_LOSS] = sum(found.values()) / len(found)


def worse_than_a_constant(relative: Mapping[str, float]) -> str | None:
    """One line on the tasks that a constant predicts better than the kept model; `None` if there are none."""
    worse = [f"{name} {value:.4f}" for name, value in relative.items() if value > 1.0]
    if not worse:
        return None
    return f"Worse than a constant on the validation split (loss divided by the constant's): {', '.join(worse)}."
