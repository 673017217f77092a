"""Asynchronous training steps under a parameter server strategy."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from tfmtl.core.types import Tensor

_STEPS_AHEAD = 16  # a worker; so many batches wait in the coordinator's memory


class ScheduledSteps:
    """Keras' training function under `tf.distribute.ParameterServerStrategy`.

    The coordinator reads the batches and hands each to a worker; that of a worker that was lost goes to another, which
    may repeat a part of a step. Every batch of an epoch is so taken, as on one device, but the order is the workers',
    and the weights a step begins with lack the steps that are under way. The metrics returned are from some steps ago:
    when so many batches are waiting, all are waited for, and the metrics read. Keras reads and writes a metric and the
    optimizer's count of steps one after the other, so that of two workers doing so at once one's share is lost: the
    metrics of an epoch are those of nearly all rows. Validation is exact.

    Args:
        model: `DistributedModel`.
        strategy: `tf.distribute.ParameterServerStrategy`.
        step: from a batch to a step, as `train_step`.
    """

    def __init__(self, model: keras.Model, strategy: tf.distribute.Strategy, step: Callable[..., Any]) -> None:
        self._model = model
        self._coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
        workers = sum("/job:worker/" in device.name for device in tf.config.list_logical_devices("CPU"))
        self._ahead = _STEPS_AHEAD * max(1, workers)
        self._waiting = 0
        self._logs: dict[str, Tensor] | None = None

        @tf.function(reduce_retracing=True, autograph=False)
        def on_worker(batch: Any) -> None:
            strategy.run(step, args=(batch,))

        self._on_worker = on_worker

    def __call__(self, batches: Iterator[Any]) -> dict[str, Tensor]:
        """Schedules as many steps as Keras wants in one call."""
        if self._logs is None:
            self._logs = dict(self._model.get_metrics_result())
        for number in range(self._model.steps_per_execution):
            try:
                batch = next(batches)
            except StopIteration:
                if not number:
                    raise
                break
            self._coordinator.schedule(self._on_worker, args=(batch,))
            self._waiting += 1
        if self._waiting >= self._ahead or not isinstance(batches, tf.data.Iterator):
            self._logs = self.finish()
        return self._logs

    def finish(self) -> dict[str, Tensor]:
        """The metrics when all steps scheduled are done."""
        self._coordinator.join()
        self._waiting, self._logs = 0, None
        return dict(self._model.get_metrics_result())
