"""Recall counts what it says, and popularity is a list of counts."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_problem, whole_split
from tfmtl.data import PreparedData
from tfmtl.export.transform_record import TransformRecord
from tfmtl.retrieval.nearest import Nearest
from tfmtl.retrieval.popularity import popularity_index, positive_counts, sampling_probabilities
from tfmtl.retrieval.recall import recall
from tfmtl.retrieval.retrieval_options import RetrievalOptions
from tfmtl.schema import BinaryTask, RegressionTask


def test_recall_of_a_fixed_list(tiny_data: PreparedData) -> None:
    """Everybody gets the ids 0 to 19 in order, so that the place of an item is known; 3 is no item for anybody."""
    item_ids = np.arange(20, dtype=np.int32)

    def search(user: dict[str, tf.Tensor], k: tf.Tensor) -> Nearest:
        assert "item" not in user, "the user side knows nothing of the item"
        rows = tf.tile(tf.range(tf.minimum(k, 20))[tf.newaxis], [len(user["user"]), 1])
        return Nearest(rows, tf.zeros(tf.shape(rows)), tf.gather(item_ids, rows) != 3)

    found = recall(tiny_data, "test", "click", "item", item_ids, search)
    features, labels = whole_split(tiny_data, "test")
    truth = features["item"].numpy()[labels["click"].numpy() == 1.0]
    is_findable = (truth >= 2) & (truth < 20)
    assert found["positives"] == len(truth)
    assert found["known"] == pytest.approx(np.mean(is_findable))
    assert found["recall@10"] == pytest.approx(np.mean(is_findable & (truth < 10) & (truth != 3)))
    assert found["recall@50"] == found["recall@100"] == pytest.approx(np.mean(is_findable & (truth != 3)))
    assert 0.0 < found["recall@10"] < found["recall@50"] < found["known"] < 1.0


def test_popularity_counts_training_positives(tiny_data: PreparedData) -> None:
    features, labels = whole_split(tiny_data, "train")
    ids = features["item"].numpy()[labels["click"].numpy() == 1.0]
    counts = positive_counts(tiny_data, "click", "item")
    assert counts.tolist() == np.bincount(ids, minlength=len(counts)).tolist()
    rows = np.array([1, 4, 2, 3], np.int32)
    scores, order = popularity_index(counts, rows)(tf.zeros((2, 1)), tf.constant(4))
    assert scores[0, -1] == 0.0, "what cannot be told apart has no count"
    assert order.shape == (2, 4)
    assert np.all(np.diff(scores[0]) <= 0)
    assert scores[1, 0] == counts[rows[order[1, 0]]] == counts[2:5].max()


def test_items_with_one_id_share_its_probability() -> None:
    counts = np.array([0, 30, 10, 60])  # the two last are in the vocabulary, three items are not
    found = sampling_probabilities(counts, np.array([1, 2, 1, 3, 1], np.int32))
    assert found == pytest.approx([0.0, 0.1, 0.1, 0.6])
    assert np.sum(found[[1, 2, 1, 3, 1]]) == pytest.approx(1.0)
    gone = sampling_probabilities(counts, np.array([1, 3], np.int32))
    assert gone[2] == pytest.approx(0.1), "what is sold no longer was still among the negatives"


def test_transform_records_agree_where_one_extends_the_other() -> None:
    old, new, other = TransformRecord("a"), TransformRecord("b", ("a",)), TransformRecord("c", ("d",))
    assert old.agrees_with(old)
    assert old.agrees_with(new)
    assert new.agrees_with(old)
    assert not old.agrees_with(other)
    assert not other.agrees_with(new)


def test_options_name_the_first_task_and_item() -> None:
    chosen = RetrievalOptions().resolved(tiny_problem())
    assert (chosen.task, chosen.item) == ("click", "item")
    chosen = RetrievalOptions(task="buy", item="topic").resolved(tiny_problem())
    assert (chosen.task, chosen.item) == ("buy", "topic")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": (RegressionTask("watch", label="seconds"),)}, "must have a binary task"),
        (
            {"features": tiny_problem().features[0:1], "sequences": ()},
            "must have a single-valued categorical feature of side 'item'",
        ),
        ({"tasks": (BinaryTask("order"),)}, "must have no feature or task called k, order, retrieval"),
    ],
)
def test_problems_without_what_retrieval_needs(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RetrievalOptions().resolved(tiny_problem(**changes))
