"""What every balancer does alike: names, state that is saved with a model and goes on, replicas, errors."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.fresh_process import run_fresh
from tfmtl.balancing import BALANCERS, Balancer, CAGrad, FixedWeights, GradNorm, PCGrad, get_balancer

STATEFUL = ("uncertainty", "dwa", "random", "gradnorm", "famo", "pcgrad", "gradvac")
NAMES = (*STATEFUL, "fixed", "imtl_g")


@keras.saving.register_keras_serializable(package="tests")
class Holder(keras.Model):
    """A model with a balancer among its attributes."""

    def __init__(self, balancer: object, **kwargs) -> None:
        super().__init__(**kwargs)
        self.balancer = get_balancer(balancer)
        self.balancer.build(3)
        self.dense = keras.layers.Dense(2)
        self.dense.build((None, 4))
        self.built = True

    def call(self, inputs):
        return self.dense(inputs)

    def get_config(self):
        return {**super().get_config(), "balancer": keras.saving.serialize_keras_object(self.balancer)}


def steps(balancer: Balancer, start: int, stop: int) -> list[np.ndarray]:
    """Weights of some steps of a fixed sequence."""
    found = []
    for step in range(start, stop):
        random = np.random.default_rng(step)
        losses, rows = random.uniform(0.5, 2.0, size=3).astype("float32"), random.normal(size=(3, 4))
        found.append(balancer.weights(losses, rows @ rows.T).numpy())
        balancer.update(losses, losses * 0.9)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_saved_with_a_model_it_goes_on_as_if_never_stopped(name: str, tmp_path: Path) -> None:
    arguments = {"steps_per_period": 2} if name == "dwa" else {}
    model = Holder(BALANCERS[name](**arguments))
    steps(model.balancer, 0, 5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.balancer) is BALANCERS[name]
    np.testing.assert_array_equal(steps(loaded.balancer, 5, 8), steps(model.balancer, 5, 8))
    # Weights alone, as `ModelCheckpoint` and `BackupAndRestore` store them.
    model.save_weights(tmp_path / "model.weights.h5")
    fresh = Holder(BALANCERS[name](**arguments))
    fresh.load_weights(tmp_path / "model.weights.h5")
    for one, other in zip(fresh.balancer.variables, model.balancer.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    assert any(np.any(one.numpy() != 0) for one in fresh.balancer.variables) == (name in STATEFUL)


def test_the_stateful_methods_are_all() -> None:
    for name, method in BALANCERS.items():
        balancer = method()
        balancer.build(2)
        assert bool(balancer.variables) == (name in STATEFUL), name


def test_a_model_does_not_count_a_balancers_state_among_its_weights() -> None:
    assert len(Holder("famo").weights) == 2


def test_state_of_another_method_is_refused() -> None:
    store: dict[str, np.ndarray] = {}
    famo = get_balancer("famo")
    famo.build(2)
    famo.save_own_variables(store)
    other = get_balancer("dwa")
    other.build(2)
    with pytest.raises(ValueError, match="DynamicWeightAverage: `store` must hold"):
        other.load_own_variables(store)
    with pytest.raises(ValueError, match="Build the balancer first"):
        get_balancer("famo").load_own_variables(store)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_seed_gives_one_sequence(seed: int) -> None:
    for name in ("random", "pcgrad", "gradvac"):
        one, same, other = (BALANCERS[name](seed=value) for value in (seed, seed, seed + 1))
        for balancer in (one, same, other):
            balancer.build(3)
        sequences = [np.array(steps(balancer, 0, 6)) for balancer in (one, same, other)]
        np.testing.assert_array_equal(sequences[0], sequences[1])
        assert np.any(sequences[0] != sequences[2]), name


@pytest.mark.parametrize("name", ["pcgrad", "gradvac", "cagrad", "mgda", "imtl_g", "nash_mtl", "aligned_mtl", "upgrad"])
def test_aggregators_take_any_number_of_parameters(name: str) -> None:
    """The Gramian is all they see: gradients turned in space give the same weights."""
    rows = np.random.default_rng(0).normal(size=(3, 3))
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(50, 3)))[0]
    plain, turned = (BALANCERS[name]().aggregate(matrix).numpy() for matrix in (rows, rows @ turn.T))
    np.testing.assert_allclose(turned, plain @ turn.T, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_two_replicas_agree_with_one_device(tmp_path: Path) -> None:
    run_fresh(Path(__file__).with_name("two_replicas.py"), tmp_path / "found.npz")
    found = np.load(tmp_path / "found.npz")
    assert found["devices"] == 2
    compared = states = 0
    for name in (*STATEFUL, "mgda"):
        for key in (key for key in found if key.startswith(f"one/{name}/")):
            rest = key.removeprefix("one/").removesuffix("/0")
            compared, states = compared + 1, states + ("/state/" in key)
            replicas = [f"two/{rest}"] if "/state/" in key else [f"two/{rest}/0", f"two/{rest}/1"]
            for other in replicas:
                np.testing.assert_allclose(found[other], found[key], rtol=1e-6, atol=1e-7, err_msg=other)
    assert states >= 20
    assert compared - states == 8 * 3  # methods, steps


def test_get_balancer() -> None:
    assert isinstance(get_balancer("cagrad"), CAGrad)
    assert isinstance(get_balancer(None), FixedWeights)
    given = GradNorm(alpha=0.3)
    assert get_balancer(given) is given
    assert get_balancer(keras.saving.serialize_keras_object(given)).alpha == 0.3
    with pytest.raises(ValueError, match=r"`identifier` must be one of \[.*Did you mean 'nash_mtl'\?"):
        get_balancer("nashmtl")
    with pytest.raises(TypeError, match="get_balancer: `identifier` must be a name, a Balancer or None"):
        get_balancer(3)


def test_errors_of_building_and_calling() -> None:
    balancer = PCGrad()
    with pytest.raises(ValueError, match=r"PCGrad: `build\(num_tasks\)` must come before the first step"):
        balancer.weights(tf.zeros(2), tf.eye(2))
    with pytest.raises(ValueError, match="PCGrad: `num_tasks` must be a positive int"):
        balancer.build(0)
    balancer.build(2)
    balancer.build(2)
    assert len(balancer.variables) == 1
    with pytest.raises(ValueError, match="PCGrad: `num_tasks` must be 2, as in the first call"):
        balancer.build(3)
    with pytest.raises(ValueError, match="PCGrad: `gramian` must be given"):
        balancer.weights(tf.zeros(2))
    with pytest.raises(ValueError, match=r"PCGrad: `gramian.shape` must be \(2, 2\). Received: .*\(2, 3\)"):
        balancer.weights(tf.zeros(2), tf.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"PCGrad: `losses.shape` must be \(2,\). Received: .*\(3,\)"):
        balancer.weights(tf.zeros(3), tf.eye(2))
