"""Two replicas take the steps of one device, and a fresh process goes on where a saved model stopped."""

from pathlib import Path

import keras
import numpy as np
import pytest

from tests.support.fresh_process import run_fresh
from tests.unit.optimizers.test_split import foreign_model, gradients
from tfmtl.optimizers import LazyAdam, Split

CASES = ("RowWiseAdagrad, clipvalue", "Ftrl, global_clipnorm", "Split, clipnorm", "Adagrad, scaled")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A model after three steps."""
    model = foreign_model()
    model.compile(Split(LazyAdam(0.05), keras.optimizers.Adam(0.05)), "mse")
    for seed in range(3):
        model.optimizer.apply_gradients(zip(gradients(model, seed), model.trainable_variables, strict=True))
    return model


@pytest.fixture(scope="module")
def output(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    folder = tmp_path_factory.mktemp("two_replicas")
    model.save(folder / "model.keras")
    run_fresh(Path(__file__).with_name("two_replicas.py"), folder / "model.keras", folder / "found.npz")
    return dict(np.load(folder / "found.npz"))


@pytest.mark.parametrize("case", CASES)
def test_two_replicas_equal_one_device(output: dict[str, np.ndarray], case: str) -> None:
    names = [name for name in output if name.startswith(f"one/{case}/")]
    assert len(names) >= 6
    for name in names:
        np.testing.assert_allclose(output[name.replace("one/", "two/", 1)], output[name], rtol=1e-4, atol=2e-6)
    start = foreign_model().get_weights()
    for index, before in enumerate(start):
        assert np.max(np.abs(output[f"one/{case}/{index}"] - before)) > 0.005


def test_a_fresh_process_goes_on(output: dict[str, np.ndarray], model: keras.Model) -> None:
    model.optimizer.apply(gradients(model, seed=3))
    for index, variable in enumerate([*model.weights, *model.optimizer.variables]):
        np.testing.assert_allclose(output[f"restored/{index}"], variable.numpy(), rtol=1e-6, atol=1e-7)
