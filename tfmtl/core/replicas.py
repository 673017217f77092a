"""Values that the replicas of a distribution strategy exchange."""

import tensorflow as tf

from tfmtl.core.types import Tensor


def sum_over_replicas(values: Tensor) -> Tensor:
    """The tensor summed over all replicas, in one exchange; to be called in a replica's own context."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return values
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)


def gather_over_replicas(values: Tensor) -> Tensor:
    """The replicas' tensors one after the other along axis 0, where they may differ in length."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return values
    return tf.distribute.get_replica_context().all_gather(values, axis=0)
