"""A distribution strategy for Keras's trainer that also works with several processes."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tfmtl.core.types import Tensor


class TrainerStrategy:
    """A distribution strategy in front of Keras' `fit`, `evaluate` and `predict`.

    Keras 3.15 reduces what a step returns by ways that fail where the replicas live in several processes, and leaves
    it to TensorFlow who gets which rows. Here a step is expected to return what all replicas agree on, which needs no
    reducing, and the rows of a batch go to the replicas in order, in parts as equal as can be: the last replicas get
    fewer or none. All else is the strategy's own.

    Args:
        strategy: `tf.distribute.Strategy`.
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self._strategy = strategy

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strategy, name)

    @property
    def is_asynchronous(self) -> bool:
        """Whether workers take steps of their own, on variables that servers hold."""
        return isinstance(self._strategy, tf.distribute.ParameterServerStrategy)

    def run(self, step: Callable[..., Any], args: Sequence[Any] = ()) -> Any:
        """What the step returns on the first replica of this process, having run on all."""
        if self.is_asynchronous:  # here, on the coordinator
            return step(*args)
        results = self._strategy.run(step, args=args)
        return tf.nest.map_structure(lambda value: self._strategy.experimental_local_results(value)[0], results)

    def experimental_distribute_dataset(self, batches: tf.data.Dataset) -> Any:
        """Distributes whole batches, which every worker has to read alike: same files, same seeds."""
        if self.is_asynchronous:  # the coordinator reads for all
            return batches
        replicas = self._strategy.num_replicas_in_sync

        def of_this_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
            own = replicas // context.num_input_pipelines
            first = own * context.input_pipeline_id
            parts = tf.data.Dataset.range(first, first + own)
            return batches.flat_map(
                lambda *batch: parts.map(lambda n: _part(batch if len(batch) > 1 else batch[0], n, replicas))
            ).prefetch(tf.data.AUTOTUNE)

        return self._strategy.distribute_datasets_from_function(of_this_worker)


def _part(batch: Any, number: Tensor, count: int) -> Any:
    """The rows that part `number` of `count` gets."""
    rows = tf.shape(tf.nest.flatten(batch)[0], tf.int64)[0]
    size = -(-rows // count)
    return tf.nest.map_structure(lambda values: values[number * size : (number + 1) * size], batch)
