"""Seeding before each test makes random numbers repeat, and keeps compiled functions where none is drawn."""

from collections.abc import Callable, Iterator

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import random_seed

from tests.support.quick_seed import QuickSeed


@pytest.fixture
def seed(monkeypatch: pytest.MonkeyPatch) -> Iterator[QuickSeed]:
    session = random_seed.get_seed  # which must not see what is done to this one
    monkeypatch.setattr(random_seed, "get_seed", getattr(session, "__wrapped__", session))
    made = QuickSeed()
    made(0)
    yield made
    tf.random.set_seed(0)


@pytest.fixture
def emptied(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Grows whenever the cache is emptied."""
    calls: list[object] = []
    empty = context.pywrap_tfe.TFE_ContextClearCaches
    monkeypatch.setattr(
        context.pywrap_tfe, "TFE_ContextClearCaches", lambda handle: (calls.append(handle), empty(handle))
    )
    return calls


DRAWS: dict[str, Callable[[], np.ndarray]] = {
    "operation": lambda: tf.random.normal((3,)).numpy(),
    "operation with a seed": lambda: tf.random.uniform((3,), seed=1).numpy(),
    "keras": lambda: np.asarray(keras.random.normal((3,))),
    "numpy": lambda: np.random.normal(size=3),
    "weight": lambda: np.asarray(keras.initializers.GlorotUniform()((2, 2))),
    "data": lambda: np.array(list(tf.data.Dataset.range(30).shuffle(30).as_numpy_iterator())),
    "data twice": lambda: np.array(list(tf.data.Dataset.range(30).shuffle(30).repeat(2).as_numpy_iterator())),
}


@pytest.mark.parametrize("draw", DRAWS)
def test_what_is_drawn_repeats(seed: QuickSeed, draw: str) -> None:
    found = []
    for _ in range(3):
        seed(0)
        found.append((DRAWS[draw](), DRAWS[draw]()))
    for one, other in found[1:]:
        np.testing.assert_array_equal(one, found[0][0])
        np.testing.assert_array_equal(other, found[0][1])
    assert not np.array_equal(*found[0])


def test_what_a_function_draws_repeats_though_it_asks_for_a_seed_once(seed: QuickSeed) -> None:
    draw = tf.function(lambda: tf.random.normal((3,)))
    seed(0)
    first = draw().numpy()
    for _ in range(3):
        seed(0)
        np.testing.assert_array_equal(draw(), first)
    assert np.any(draw().numpy() != first)


def test_the_cache_stays_where_nothing_was_drawn(seed: QuickSeed, emptied: list[object]) -> None:
    seed(0)
    keras.layers.Dropout(0.5)(tf.ones((4, 4)), training=True)
    seed(0)
    assert emptied == []
    tf.random.normal((3,))
    seed(0)
    assert len(emptied) == 1
    seed(0)
    assert len(emptied) == 1


def test_the_cache_is_emptied_now_and_then(seed: QuickSeed, emptied: list[object]) -> None:
    for _ in range(2 * QuickSeed.TESTS + 2):
        seed(0)
    assert len(emptied) == 2
