"""The poolings of a behavior sequence, by name."""

import keras
from keras import ops

from tfmtl.core.types import Shapes, Tensor, Tensors
from tfmtl.layers.sequence.mean_pooling import MeanPooling
from tfmtl.layers.sequence.target_attention import TargetAttention
from tfmtl.schema.checks import check_one_of

_POOLINGS = {"mean": MeanPooling, "target": TargetAttention}


def check_pooling(owner: str, pooling: str) -> None:
    """Raises unless `pooling` names a pooling."""
    check_one_of(owner, "pooling", pooling, tuple(_POOLINGS))


def pooling_layer(pooling: str, dtype_policy: keras.DTypePolicy) -> MeanPooling | TargetAttention:
    """Makes the layer a name stands for; every one takes the same dict of inputs."""
    return _POOLINGS[pooling](dtype=dtype_policy)


def pair_pooling_layer(
    pooling: str, num_tasks: int, shapes: Shapes, dtype_policy: keras.DTypePolicy
) -> MeanPooling | TargetAttention:
    """Makes and builds the pooling of sequences that differ by task as well, for the shapes of one task's inputs."""
    batch, behaviors, length, width = shapes["events"]
    num_pairs = num_tasks * behaviors
    layer = pooling_layer(pooling, dtype_policy)
    layer.build(
        {
            "events": (batch, num_pairs, length, width),
            "event_mask": (batch, num_pairs, length),
            "queries": (batch, num_pairs, width),
        }
    )
    return layer


def pool_pairs(layer: MeanPooling | TargetAttention, encoded: Tensor, inputs: Tensors) -> Tensor:
    """Pools `(B, T, J, L, D)` to `(B, T, J, D)`; mask and queries are those of `inputs`, the same for all tasks."""
    _, tasks, behaviors, length, width = encoded.shape
    pairs = {
        "events": ops.reshape(encoded, (-1, tasks * behaviors, length, width)),
        "event_mask": ops.tile(inputs["event_mask"], (1, tasks, 1)),
    }
    if "queries" in inputs:
        pairs["queries"] = ops.tile(inputs["queries"], (1, tasks, 1))
    return ops.reshape(layer(pairs), (-1, tasks, behaviors, width))
