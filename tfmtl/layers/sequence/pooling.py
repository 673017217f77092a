"""The poolings of a behaviour sequence, by name."""

import keras

from tfmtl.core.validation import check_one_of
from tfmtl.layers.sequence.mean_pooling import MeanPooling
from tfmtl.layers.sequence.target_attention import TargetAttention

_POOLINGS = {"mean": MeanPooling, "target": TargetAttention}


def check_pooling(owner: str, pooling: str) -> None:
    """Raises unless `pooling` names a pooling."""
    check_one_of(owner, "pooling", pooling, tuple(_POOLINGS))


def pooling_layer(pooling: str, dtype_policy: keras.DTypePolicy) -> MeanPooling | TargetAttention:
    """Makes the layer a name stands for; every one takes the same dict of inputs."""
    return _POOLINGS[pooling](dtype=dtype_policy)
