"""Exact search, with and without what was seen, against sorting in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tfmtl.retrieval.nearest import nearest

ITEMS, QUERIES, WIDTH = 12, 5, 4
IDS = np.array([f"i{item}" for item in range(ITEMS)], object)


@pytest.fixture
def vectors() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(3)
    return (
        generator.normal(size=(QUERIES, WIDTH)).astype(np.float32),
        generator.normal(size=(ITEMS, WIDTH)).astype(np.float32),
    )


def search(queries: np.ndarray, items: np.ndarray, k: int, seen: np.ndarray | None = None) -> list[np.ndarray]:
    def index(rows: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tuple(tf.math.top_k(tf.matmul(rows, items, transpose_b=True), count))

    shown = None if seen is None else tf.constant(seen, tf.string)
    return [part.numpy() for part in nearest(index, tf.constant(queries), tf.constant(k), tf.constant(IDS), shown)]


@pytest.mark.parametrize("k", [1, 5, ITEMS, 100])
def test_best_items_best_first(vectors: tuple[np.ndarray, np.ndarray], k: int) -> None:
    queries, items = vectors
    rows, scores, is_item = search(queries, items, k)
    expected = np.argsort(-(queries @ items.T), axis=1)[:, :k]
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_allclose(scores, np.take_along_axis(queries @ items.T, expected, axis=1), rtol=1e-5)
    assert is_item.all()


@pytest.mark.parametrize("k", [1, 5, ITEMS, 100])
@pytest.mark.parametrize("count", [0, 1, 7, 30])
def test_seen_items_come_after_all_others(vectors: tuple[np.ndarray, np.ndarray], k: int, count: int) -> None:
    queries, items = vectors
    generator = np.random.default_rng(count)
    seen = generator.choice([*IDS, "", "unknown"], (QUERIES, count))
    rows, _, is_item = search(queries, items, k, seen)
    for row in range(QUERIES):
        best = [item for item in np.argsort(-(queries[row] @ items.T)) if IDS[item] not in seen[row]][:k]
        assert rows[row][is_item[row]].tolist() == best
        assert rows.shape == (QUERIES, min(k, ITEMS))
        assert not is_item[row][len(best) :].any()
