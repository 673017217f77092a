"""The poolings of a behavior sequence, by name."""

from collections.abc import Callable
from functools import partial

import keras
from keras import ops

from tfmtl.core.types import Shapes, Tensor, Tensors
from tfmtl.layers.sequence.counted_pooling import CountedPooling
from tfmtl.layers.sequence.hashed_attention import HashedAttention
from tfmtl.layers.sequence.mean_pooling import MeanPooling
from tfmtl.layers.sequence.target_attention import TargetAttention
from tfmtl.schema.checks import check_one_of

Pooling = MeanPooling | TargetAttention | HashedAttention | CountedPooling

_POOLINGS: dict[str, Callable[..., Pooling]] = {
    "mean": MeanPooling,
    "target": TargetAttention,
    "sdim": HashedAttention,
    "mean_count": partial(CountedPooling, "mean"),
    "target_count": partial(CountedPooling, "target"),
    "sdim_count": partial(CountedPooling, "sdim"),
}


def check_pooling(owner: str, pooling: str) -> None:
    """Raises unless `pooling` names a pooling."""
    check_one_of(owner, "pooling", pooling, tuple(_POOLINGS))


def reads_queries(pooling: str) -> bool:
    """Whether a pooling weighs the events by their fit to a query."""
    return pooling.startswith(("target", "sdim"))


def learns_queries(pooling: str) -> bool:
    """Whether what makes a query can be learned through a pooling; a hash value has no gradient."""
    return pooling.startswith("target")


def pools_by_query(layer: Pooling) -> bool:
    """Whether a layer weighs the events by their fit to a query."""
    return reads_queries(layer.pooling) if isinstance(layer, CountedPooling) else not isinstance(layer, MeanPooling)


def pooling_layer(pooling: str, dtype_policy: keras.DTypePolicy) -> Pooling:
    """Makes the layer a name stands for; every one takes the same dict of inputs."""
    return _POOLINGS[pooling](dtype=dtype_policy)


def pair_pooling_layer(pooling: str, num_tasks: int, shapes: Shapes, dtype_policy: keras.DTypePolicy) -> Pooling:
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


def pool_pairs(layer: Pooling, encoded: Tensor, inputs: Tensors) -> Tensor:
    """Pools `(B, T, J, L, D)` to `(B, T, J, D)`.

    The mask is that of `inputs`, the same for all tasks; so are queries `(B, J, D)`, and those of `(B, T, J, D)` are
    the tasks' own.
    """
    _, tasks, behaviors, length, width = encoded.shape
    pairs = {
        "events": ops.reshape(encoded, (-1, tasks * behaviors, length, width)),
        "event_mask": ops.tile(inputs["event_mask"], (1, tasks, 1)),
    }
    if "queries" in inputs:
        queries = inputs["queries"]
        if len(queries.shape) == 3:
            queries = ops.tile(queries[:, None], (1, tasks, 1, 1))
        pairs["queries"] = ops.reshape(queries, (-1, tasks * behaviors, width))
    return ops.reshape(layer(pairs), (-1, tasks, behaviors, width))
