"""Small training runs that give the same numbers however many replicas share the work."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_model, whole_split
from tfmtl.data import PreparedData
from tfmtl.models import MultiTaskModel
from tfmtl.optimizers import LazyAdam
from tfmtl.training import TrainOptions

EVEN, UNEVEN, EMPTY, LOPSIDED = "even", "uneven", "a replica without a row", "labels on one replica, weighted"
CASES = (EVEN, UNEVEN, EMPTY, LOPSIDED)


def batches_of(
    data: PreparedData, cases: tuple[str, ...] = CASES, all_weighted: bool = False
) -> Iterator[tuple[str, tf.data.Dataset, tf.data.Dataset]]:
    """Name, training and evaluation batches; `all_weighted` gives the rows of every case weights, mostly of 1.

    Steps with and without weights are two graphs: with weights in all cases there is one to trace.
    """
    features, labels = whole_split(data, "train")
    rows = tf.data.Dataset.from_tensor_slices((features, labels))
    weights = np.arange(360, dtype="float32") % 4
    second_half = np.arange(360) % 60 >= 30
    lopsided = {**labels, "watch": tf.where(second_half, np.nan, labels["watch"])}
    lopsided["buy"] = tf.where(np.arange(360) % 60 < 50, np.nan, labels["buy"])
    weighted = tf.data.Dataset.from_tensor_slices((features, lopsided, weights)).batch(60)
    found = {
        EVEN: lambda: (data.train(72), data.test(60)),
        UNEVEN: lambda: (data.train(51), data.test(33)),
        EMPTY: lambda: (rows.take(61).batch(30), rows.take(61).batch(30)),
        LOPSIDED: lambda: (weighted, weighted),
    }
    for name in cases:
        batches = found[name]()
        yield name, *(map(with_weights, batches) if all_weighted and name != LOPSIDED else batches)


def with_weights(batches: tf.data.Dataset) -> tf.data.Dataset:
    """The same batches with a weight of 1 for every row."""
    return batches.map(lambda features, labels: (features, labels, tf.ones_like(labels["click"])))


def small_model(
    data: PreparedData, strategy: tf.distribute.Strategy, preset: str, compiled: Mapping[str, object], **options: object
) -> MultiTaskModel:
    """A compiled model, always from the same start."""
    keras.utils.set_random_seed(0)
    with strategy.scope():
        # Knots of numbers, which no step moves, would be weights that do not move; whole runs have them.
        model = tiny_model(data.inputs, preset, **{"number_bins": 0, **options})
        given = {"optimizer": keras.optimizers.SGD(0.3), **compiled}
        model.compile(**{name: value() if callable(value) else value for name, value in given.items()})
    return model


def train(
    data: PreparedData,
    strategy: tf.distribute.Strategy,
    preset: str,
    prefix: str = "",
    cases: tuple[str, ...] = CASES,
    all_weighted: bool = False,
    **compiled: object,
) -> dict[str, np.ndarray]:
    """What every case makes of the same start: history, metrics, weights and by how much they moved."""
    model = small_model(data, strategy, preset, compiled)
    start = model.get_weights()
    found = {}
    for name, batches, evaluated in batches_of(data, cases, all_weighted):
        model.set_weights(start)
        keras.utils.set_random_seed(0)  # the order of the rows follows from it
        history = model.fit(batches, epochs=2, verbose=0).history
        measured = model.evaluate(evaluated, verbose=0, return_dict=True)
        found |= {f"{name}/fit/{metric}": np.array(values) for metric, values in history.items()}
        found |= {f"{name}/evaluate/{metric}": np.array(value) for metric, value in measured.items()}
        found |= {f"{name}/weights/{n}": value for n, value in enumerate(model.get_weights())}
        found |= {f"{name}/moved/{n}": value - start[n] for n, value in enumerate(model.get_weights())}
    return {prefix + name: value for name, value in found.items()}


def assert_same_report(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Checks that two evaluations found the same, what a constant scores included."""
    assert set(one) == set(other)
    for task, metrics in other.items():
        for found, expected in ((one[task], metrics), (one[task]["baseline"], metrics["baseline"])):
            numbers = {name: value for name, value in expected.items() if name != "baseline"}
            assert {name: found[name] for name in numbers} == pytest.approx(numbers, rel=1e-5), task


def row_adam() -> LazyAdam:
    """Adam whose first step does not depend on the sign of a rounding."""
    return LazyAdam(0.01, epsilon=1e-2)


RUN = TrainOptions(
    "shared_bottom",
    {"hidden_units": (16, 8), "tower_units": (8,)},
    epochs=2,
    batch_size=50,
    strategy="multi_worker",
    id_dropout=0.0,  # which ids are dropped depends on the replica
)


def found_alone(data: PreparedData, strategy: tf.distribute.Strategy, everything: bool) -> dict[str, np.ndarray]:
    """What a single worker finds too, by case; the few cases that depend most on how rows are spread, or all."""
    if not everything:
        return train(data, strategy, "shared_bottom", cases=(UNEVEN, EMPTY))
    found = train(data, strategy, "shared_bottom", cases=(UNEVEN, EMPTY, LOPSIDED))
    sparse = {"embedding_optimizer": row_adam}
    kinds = {
        "weighted losses: ": ("mmoe", {**sparse, "balancing": "uncertainty", "steps_per_execution": 3}),
        "all gradients: ": ("shared_bottom", {**sparse, "balancing": "upgrad"}),
        "representation: ": ("mmoe", {**sparse, "balancing": "pcgrad", "balance_at": "representation"}),
    }
    for prefix, (preset, compiled) in kinds.items():
        found |= train(data, strategy, preset, prefix, (UNEVEN,), **compiled)
    model = small_model(data, strategy, "shared_bottom", {"optimizer": None})  # the defaults
    found |= {
        f"default/fit/{name}": np.array(values) for name, values in model.fit(data.train(51), verbose=0).history.items()
    }
    features, _ = whole_split(data, "test")
    found |= {f"predict/{task}": values for task, values in model.predict(features, batch_size=50, verbose=0).items()}
    return found | {f"on a batch/{task}": values for task, values in model.predict_on_batch(features).items()}
