"""Exchange of values between the replicas of a distribution strategy.

Every replica has to call these in the same order, each in its own context.
"""

from collections.abc import Mapping

import tensorflow as tf

from tfmtl.core.types import Tensor


def is_single_replica() -> bool:
    """Whether there is one replica, so that there is nothing to exchange."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync) == 1


def sum_over_replicas(values: Tensor) -> Tensor:
    """The tensor summed over all replicas, in one exchange."""
    if is_single_replica():
        return values
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)


def mean_over_replicas(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The scalars averaged over all replicas, float32, in one exchange."""
    if is_single_replica():
        return dict(values)
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    stacked = tf.stack([tf.cast(value, tf.float32) for value in values.values()])
    return dict(zip(values, tf.unstack(sum_over_replicas(stacked) / replicas), strict=True))


def gather_over_replicas(values: Tensor) -> Tensor:
    """The replicas' tensors one after the other along axis 0, where they may differ in length; in any order."""
    if is_single_replica():
        return values
    gathered = tf.distribute.get_replica_context().all_gather(values, axis=0)
    return tf.ensure_shape(gathered, (None, *values.shape[1:]))  # from other machines it comes without


def order_of_replicas(rows: Tensor) -> Tensor:
    """Where what `gather_over_replicas` returned has the first replica's rows, then the second's, and so on, `(N,)`.

    Args:
        rows: scalar int, how many rows this replica has given.
    """
    context = tf.distribute.get_replica_context()
    replica = tf.cast(context.replica_id_in_sync_group, tf.int32)
    return tf.argsort(gather_over_replicas(tf.fill(tf.reshape(rows, (1,)), replica)), stable=True)
