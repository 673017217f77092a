"""The moving average of the weights, against its definition in NumPy."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import prepare, tiny_problem
from tfmtl.data import PreparedData
from tfmtl.models import load
from tfmtl.schema import Split
from tfmtl.training import TrainOptions, WeightAverage, evaluate, fit

MOMENTUM = 0.6


class Weights(keras.callbacks.Callback):
    """Notes the weights after every step, and what the model holds when it is validated and when an epoch ends."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[list[np.ndarray]] = []
        self.validated: list[list[np.ndarray]] = []
        self.kept: list[list[np.ndarray]] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.initial = self._now()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps.append(self._now())

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self.validated.append(self._now())

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.kept.append(self._now())

    def _now(self) -> list[np.ndarray]:
        return [weight.numpy() for weight in self.model.trainable_variables]


def averages(initial: list[np.ndarray], steps: list[list[np.ndarray]], every: int = 1) -> list[list[np.ndarray]]:
    found = [initial]
    for n, weights in enumerate(steps, 1):
        share = min(MOMENTUM, (1 + n) / (10 + n)) ** (1 if n <= every else every)
        if n > every and n % every:
            share = 1.0
        found.append([share * old + (1 - share) * new for old, new in zip(found[-1], weights, strict=True)])
    return found[1:]


def assert_close(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    for first, second in zip(one, other, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)


def options(**changes: Any) -> TrainOptions:
    small = {"hidden_units": (16, 8), "tower_units": (8,)}
    return TrainOptions("shared_bottom", small, **{"epochs": 3, "batch_size": 60, "learning_rate": 0.05, **changes})


def small_model() -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.mark.parametrize("every", [1, 3])
def test_validation_sees_the_average_and_training_does_not(every: int) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
    batches = tf.data.Dataset.from_tensor_slices((rows, rows[:, :2])).batch(10)
    plain, averaged = Weights(), Weights()
    small_model().fit(batches, validation_data=batches, epochs=4, callbacks=[plain], verbose=0)
    model = small_model()
    callbacks = [averaged, WeightAverage(model, MOMENTUM, every)]
    model.fit(batches, validation_data=batches, epochs=4, callbacks=callbacks, verbose=0)
    for one, other in zip(plain.steps, averaged.steps, strict=True):
        for first, second in zip(one, other, strict=True):
            np.testing.assert_array_equal(first, second)
    expected = averages(averaged.initial, averaged.steps, every)
    for epoch, (validated, kept) in enumerate(zip(averaged.validated[::4], averaged.kept, strict=True), 1):
        assert_close(validated, expected[4 * epoch - 1])
        assert_close(kept, expected[4 * epoch - 1])
    assert np.abs(expected[3][0] - averaged.steps[3][0]).max() > 1e-3, "or the test could not tell them apart"


def test_large_models_are_averaged_less_often_and_executions_of_several_steps_miss_none() -> None:
    assert WeightAverage(small_model(), MOMENTUM).every == 1
    large = keras.Sequential([keras.Input((1000,)), keras.layers.Dense(800)])
    assert WeightAverage(large, MOMENTUM).every == 4  # of 800,800 weights
    rows = np.random.default_rng(0).normal(size=(120, 3)).astype("float32")
    model = small_model()
    model.compile(keras.optimizers.SGD(0.1), "mse", steps_per_execution=4)
    model.optimizer.build(model.trainable_variables)
    average = WeightAverage(model, MOMENTUM, 3)
    changes: list[bool] = []
    before = [each.numpy() for each in average.variables]

    def note(batch: int, logs: Any) -> None:
        now = [each.numpy() for each in average.variables]
        changes.append(not np.array_equal(before[0], now[0]))
        before[:] = now

    noted = keras.callbacks.LambdaCallback(on_train_batch_end=note)
    model.fit(rows, rows[:, :2], batch_size=10, callbacks=[average, noted], verbose=0)
    assert changes == [True, True, True]  # after 4, 8 and 12 steps, none of them but the last a multiple of 3


def test_the_best_average_is_kept(small_data: PreparedData, tmp_path: Path) -> None:
    noted = Weights()
    model = fit(small_data, tmp_path, options(ema_momentum=MOMENTUM, patience=3), [noted], verbose=0)
    assert any(
        all(np.array_equal(one, weight.numpy()) for one, weight in zip(kept, model.trainable_variables, strict=True))
        for kept in noted.kept
    )
    assert not any(np.array_equal(weights[0], model.trainable_variables[0].numpy()) for weights in noted.steps)
    assert evaluate(load(tmp_path / "model.keras"), small_data) == evaluate(model, small_data)
    assert not hasattr(model, "weight_average"), "the second copy of the weights goes with the run"


def test_a_run_that_goes_on_from_another_averages_from_its_weights(small_data: PreparedData, tmp_path: Path) -> None:
    first = fit(small_data, tmp_path / "first", options(epochs=1), verbose=0)
    still = {"epochs": 1, "learning_rate": 1e-9, "ema_momentum": MOMENTUM, "init_from": str(tmp_path / "first")}
    second = fit(small_data, tmp_path / "second", options(**still), verbose=0)
    assert_close([w.numpy() for w in first.trainable_variables], [w.numpy() for w in second.trainable_variables])


def test_without_validation_the_last_average_is_kept(tmp_path: Path) -> None:
    data = prepare(tmp_path / "data", tiny_problem(split=Split(valid=0.0, test=0.2)))
    noted = Weights()
    model = fit(data, tmp_path / "run", options(ema_momentum=MOMENTUM, epochs=1), [noted], verbose=0)
    assert_close(averages(noted.initial, noted.steps)[-1], [weight.numpy() for weight in model.trainable_variables])


@pytest.mark.parametrize("momentum", [0.0, 1.0])
def test_errors(momentum: float) -> None:
    with pytest.raises(ValueError, match="WeightAverage: `momentum` must lie strictly between 0 and 1"):
        WeightAverage(small_model(), momentum)
