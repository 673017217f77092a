"""Balancers and flat minima: what they must agree with, and that all of them train."""

import keras
import numpy as np
import pytest

from tests.unit.operators.small_problems import compiled, network, waves
from tfmtl.balancing import BALANCERS
from tfmtl.operators import RelativeL2
from tfmtl.sharpness import SAM


def trained(data, steps: int = 3, **options):
    keras.utils.set_random_seed(0)
    made = network(data)
    made.compile(keras.optimizers.SGD(0.05), "mse", metrics=[RelativeL2()], run_eagerly=True, **options)
    history = made.fit(data.batches(16, steps), verbose=0)
    return np.concatenate([np.ravel(weight) for weight in made.trainable_variables]), history.history


@pytest.mark.parametrize("options", [{"balancing": "fixed", "num_tasks": 2}, {"sharpness": SAM(0.0)}])
def test_weights_of_one_and_a_ball_of_no_size_are_the_plain_step(options: dict) -> None:
    data = waves()
    plain, plain_history = trained(data)
    other, history = trained(data, **options)
    np.testing.assert_allclose(other, plain, rtol=1e-4, atol=1e-6)
    for name, values in plain_history.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("name", ["pcgrad", "upgrad", "uncertainty"])
def test_one_task_balanced_is_that_task_alone(name: str) -> None:
    data = waves(tasks=("only",))
    plain, _ = trained(data, steps=1)
    np.testing.assert_allclose(trained(data, steps=1, balancing=name, num_tasks=1)[0], plain, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", BALANCERS)
def test_every_balancer_trains(name: str) -> None:
    weights, history = trained(waves(), steps=2, balancing=name, num_tasks=2)
    assert np.all(np.isfinite(weights))
    assert np.isfinite(history["loss"]).all()


def test_a_flat_minimum_is_looked_for_elsewhere_with_and_without_a_balancer() -> None:
    plain, _ = trained(waves())
    flat, _ = trained(waves(), sharpness="sam")
    both, _ = trained(waves(), sharpness="sam", balancing="mgda", num_tasks=2)
    weighed, _ = trained(waves(), sharpness="asam", balancing="dwa", num_tasks=2)
    for one, other in ((plain, flat), (flat, both), (flat, weighed)):
        assert np.max(np.abs(one - other)) > 1e-6


def test_balancing_is_saved_with_the_model(tmp_path) -> None:
    data = waves()
    made = compiled(network(data), balancing="dwa", sharpness="sam", num_tasks=2)  # in a graph
    made.fit(data.batches(8, 2), verbose=0)
    made.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (type(loaded.balancing).__name__, type(loaded.sharpness).__name__) == ("DynamicWeightAverage", "SAM")
    loaded.fit(data.batches(8, 3, start=2), verbose=0)


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(ValueError, match="`num_tasks` must be given with `balancing`"):
        compiled(network(), balancing="pcgrad")
    with pytest.raises(ValueError, match="`sharpness` must not be decomposed"):
        compiled(network(), sharpness=SAM(0.05, decomposed=True))
