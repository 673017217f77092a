"""The popularity baseline of retrieval: the same list for all users, most positives first."""

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfmtl.data import PreparedData
from tfmtl.retrieval.nearest import Index
from tfmtl.retrieval.recall import positives
from tfmtl.schema.reserved import RESERVED_IDS


def positive_counts(data: PreparedData, task: str, item: str) -> npt.NDArray[np.int64]:
    """Encoded id -> training positives of a task with it, `(ids,)`."""
    [ids_of_item] = data.problem.feature(item).tensors(data.problem)
    counts = np.zeros(data.inputs.table_rows[str(ids_of_item.table)], np.int64)
    for rows in positives(data, "train", task, item):
        counts += np.bincount(rows.items, minlength=len(counts))
    return counts


def sampling_probabilities(counts: npt.NDArray[np.int64], item_ids: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """Encoded id -> the share of training positives that an item with this id has in the mean, `(ids,)`.

    What the loss of retrieval is corrected by. Items out of the vocabulary have one id, and one vector but for their
    other features. With the share of all of them together each would be found as if it were all of them: a thousand
    rare items would stand before every popular one.

    Args:
        counts: as `positive_counts` returns them.
        item_ids: encoded ids of the index's rows.
    """
    items_with_id = np.maximum(np.bincount(item_ids, minlength=len(counts)), 1)
    return np.asarray(counts / (counts.sum() * items_with_id))


def popularity_index(counts: npt.NDArray[np.int64], item_ids: npt.NDArray[np.int32]) -> Index:
    """An index that looks at no query; items out of the vocabulary come last.

    Args:
        counts: as `positive_counts` returns them.
        item_ids: encoded ids of the index's rows.
    """
    scores = tf.constant(np.where(item_ids >= RESERVED_IDS, counts[item_ids], 0), tf.float32)

    def search(queries: tf.Tensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        best, rows = tf.math.top_k(scores, k)
        rows_of_queries = tf.shape(queries)[0]
        return tf.tile(best[tf.newaxis], [rows_of_queries, 1]), tf.tile(rows[tf.newaxis], [rows_of_queries, 1])

    return search
