"""Make Keras's trainer work under every distribution strategy."""

from collections.abc import Callable
from typing import Any, cast

import keras
import tensorflow as tf

from tfmtl.core.replicas import gather_over_replicas, order_of_replicas
from tfmtl.models.scheduled_steps import ScheduledSteps
from tfmtl.models.trainer_strategy import TrainerStrategy


class DistributedModel(keras.Model):
    """A model whose `fit`, `evaluate` and `predict` give the same on one device, several devices and several machines.

    Keras 3.15 by itself fails under `tf.distribute.MultiWorkerMirroredStrategy`, and trains on an average of the
    replicas' shapes under others. Batches given are those of the whole strategy; every worker has to give the same.

    A subclass builds without a batch (`build()`), and its `train_step` and `test_step` return values that are the same
    on all replicas (`tfmtl.core.replicas`): what each worker's callbacks decide then is the same too, and no worker
    waits for one that has stopped. Values after an epoch are those of all replicas' rows.

    Under `tf.distribute.ParameterServerStrategy`, `fit` runs on the coordinator and hands its steps to the workers
    (`ScheduledSteps`); `evaluate` and `predict` run on the coordinator alone.
    """

    @property
    def distribute_strategy(self) -> Any:
        """The strategy under which the model was made, as the trainer uses it."""
        strategy = super().distribute_strategy
        needed = strategy.num_replicas_in_sync > 1 or _is_asynchronous(strategy)
        return TrainerStrategy(strategy) if needed else strategy

    @property
    def jit_compile(self) -> bool:
        """Whether the passes of a step are compiled with XLA.

        Keras switches that off where TensorFlow's kernels are to be deterministic; on a CPU they are under XLA too.
        """
        return bool(self._jit_compile)

    @jit_compile.setter
    def jit_compile(self, asked: bool | None) -> None:
        self._jit_compile = bool(asked)

    def make_train_function(self, force: bool = False) -> None:
        """Makes what `fit` calls for every step."""
        strategy = super().distribute_strategy
        if not _is_asynchronous(strategy):
            super().make_train_function(force)
        elif force or self.train_function is None:
            self.train_function: Any = ScheduledSteps(self, strategy, self.train_step)

    def predict_step(self, data: Any) -> Any:
        """The predictions for the rows of all replicas, in the order of the batch."""
        outputs = super().predict_step(data)
        if tf.distribute.get_strategy().num_replicas_in_sync == 1:
            return outputs
        order = order_of_replicas(tf.shape(tf.nest.flatten(outputs)[0])[0])
        return tf.nest.map_structure(lambda values: tf.gather(gather_over_replicas(values), order), outputs)

    def predict_on_batch(self, x: Any) -> Any:
        """Predictions for one batch, as arrays."""
        if self.distribute_strategy.num_replicas_in_sync == 1:
            return super().predict_on_batch(x)
        return self.predict(tf.data.Dataset.from_tensors(x), verbose=0)  # Keras would give every replica all rows

    def _make_function(self, step_function: Callable[..., Any]) -> Callable[..., Any]:
        if self.distribute_strategy.num_replicas_in_sync > 1:
            return self._on_replicas(step_function)
        # Keras would compile the whole step with XLA, tables and metrics too; `ForwardPass` compiles what gains by it.
        model: Any = self
        asked, model.jit_compile = model.jit_compile, False
        try:
            return cast("Callable[..., Any]", super()._make_function(step_function))
        finally:
            model.jit_compile = asked

    def _on_replicas(self, step_function: Callable[..., Any]) -> Callable[..., Any]:
        # Keras's loop over several steps decides in the graph whether there is a next one, and the workers' exchanges
        # do not work inside of such a branch.
        def on_batch(batch: Any) -> Any:
            return self.distribute_strategy.run(step_function, args=(batch,))

        def on_next(iterator: Any) -> Any:
            return on_batch(iterator.get_next())

        if not self.run_eagerly:
            on_batch, on_next = (
                tf.function(function, reduce_retracing=True, autograph=False) for function in (on_batch, on_next)
            )

        def several_steps(iterator: Any) -> Any:
            logs = None
            for _ in range(self.steps_per_execution):
                try:
                    is_distributed = isinstance(iterator, tf.distribute.DistributedIterator)
                    logs = on_next(iterator) if is_distributed else on_batch(next(iterator))
                except (StopIteration, tf.errors.OutOfRangeError):
                    if logs is None:
                        raise
                    break
            return logs

        return several_steps

    def _get_metrics_result_or_logs(self, logs: Any) -> Any:
        # At the end of an epoch, and of an evaluation, which schedules nothing.
        if isinstance(self.train_function, ScheduledSteps):
            return self.train_function.finish()
        return super()._get_metrics_result_or_logs(logs)

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        # Keras builds from a batch, which under a strategy it makes by adding up the replicas' batches: that fails
        # where they differ in size. This model needs no batch.
        with self.distribute_strategy.scope():
            if not self.built:
                self.build()
            if not self.optimizer.built:
                self.optimizer.build(self.trainable_variables)


def _is_asynchronous(strategy: tf.distribute.Strategy) -> bool:
    return isinstance(strategy, tf.distribute.ParameterServerStrategy)
