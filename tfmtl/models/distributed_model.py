"""Keras' trainer, made to work under every distribution strategy."""

from collections.abc import Callable
from typing import Any, cast

import keras
import tensorflow as tf

from tfmtl.core.replicas import gather_over_replicas, order_of_replicas
from tfmtl.models.trainer_strategy import TrainerStrategy


class DistributedModel(keras.Model):
    """A model whose `fit`, `evaluate` and `predict` mean the same on one device, on several, and on several machines.

    Keras 3.15 by itself fails under `tf.distribute.MultiWorkerMirroredStrategy`, and trains on an average of the
    replicas' shapes under others. Batches given are those of the whole strategy; every worker has to give the same.

    A subclass builds without a batch (`build()`), and its `train_step` and `test_step` return values that are the same
    on all replicas (`tfmtl.core.replicas`): what each worker's callbacks decide then is the same too, and no worker
    waits for one that has stopped. Values after an epoch are those of all replicas' rows.
    """

    @property
    def distribute_strategy(self) -> Any:
        """The strategy under which the model was made, as the trainer uses it."""
        strategy = super().distribute_strategy
        return TrainerStrategy(strategy) if strategy.num_replicas_in_sync > 1 else strategy

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
        # Keras would compile the whole step with XLA, tables and metrics too; `ForwardPass` compiles what gains by it.
        model: Any = self
        asked, model.jit_compile = model.jit_compile, False
        try:
            return cast("Callable[..., Any]", super()._make_function(step_function))
        finally:
            model.jit_compile = asked

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        # Keras builds from a batch, which under a strategy it makes by adding up the replicas' batches: that fails
        # where they differ in size. This model needs no batch.
        with self.distribute_strategy.scope():
            if not self.built:
                self.build()
            if not self.optimizer.built:
                self.optimizer.build(self.trainable_variables)
