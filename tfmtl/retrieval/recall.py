"""Recall of a retrieval index on a split's positives."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfmtl.data import PreparedData
from tfmtl.data.example_spec import candidate_tensors
from tfmtl.retrieval.nearest import Nearest
from tfmtl.schema.reserved import RESERVED_IDS

RECALL_AT = (10, 50, 100)
Search: TypeAlias = Callable[[Mapping[str, tf.Tensor], tf.Tensor], Nearest]
"""Encoded features of users and k -> the items found."""
_BATCH = 2048


class Positives(NamedTuple):
    """Positive rows of a task, N of them.

    Attributes:
        user: encoded features of the user side, each `(N, ...)`.
        items: int32 `(N,)`. Encoded ids of the items.
        groups: bytes `(N,)`, as `PreparedData.split` gives them.
    """

    user: dict[str, tf.Tensor]
    items: npt.NDArray[np.int32]
    groups: npt.NDArray[np.object_]


def positives(data: PreparedData, split: str, task: str, item: str) -> Iterator[Positives]:
    """All positive rows of a split, in the order of the files, in batches."""
    of_item = candidate_tensors(data.problem)
    for features, labels, groups in data.split(split, _BATCH):
        is_positive = labels[task] == 1.0
        rows = {name: tf.boolean_mask(values, is_positive) for name, values in features.items()}
        user = {name: value for name, value in rows.items() if name not in of_item}
        yield Positives(user, rows[item].numpy(), tf.boolean_mask(groups, is_positive).numpy())


def recall(
    data: PreparedData, split: str, task: str, item: str, item_ids: npt.NDArray[np.int32], search: Search
) -> dict[str, float | None]:
    """Share of a split's positives whose item is among the k best, for each k of `RECALL_AT`.

    Each positive row is a query of its own, with what was known at its time. A positive whose item is out of the
    vocabulary counts as not found: nothing tells which item it is.

    Args:
        data: `PreparedData`.
        split: str.
        task: str. Its positive rows are looked for.
        item: str. The feature that identifies an item.
        item_ids: encoded ids of the index's rows.
        search: `Search`.

    Returns:
        `recall@<k>`, `None` without positives; `positives`, their number; `known`, the share whose item is in the
        index and the vocabulary: no recall can be higher.
    """
    hits = dict.fromkeys(RECALL_AT, 0)
    count = known = 0
    for user, truth, _ in positives(data, split, task, item):
        found = search(user, tf.constant(max(RECALL_AT)))
        ids = np.where(found.is_item.numpy(), item_ids[found.rows.numpy()], -1)
        is_hit = (ids == truth[:, np.newaxis]) & (truth[:, np.newaxis] >= RESERVED_IDS)
        count += len(truth)
        known += int(np.isin(truth, item_ids[item_ids >= RESERVED_IDS]).sum())
        for k in RECALL_AT:
            hits[k] += int(is_hit[:, :k].any(axis=1).sum())
    result: dict[str, float | None] = {f"recall@{k}": hits[k] / count if count else None for k in RECALL_AT}
    return {**result, "positives": count, "known": known / count if count else None}
