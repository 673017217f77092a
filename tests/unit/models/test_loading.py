"""Saved models answer and learn on as before, also in another process."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.support.fresh_process import run_fresh
from tests.support.layer_checks import randomize_weights
from tests.support.tiny_problem import tiny_inputs, tiny_model, whole_split
from tests.unit.models.resume import state
from tfmtl.data import PreparedData
from tfmtl.models import PRESETS, MultiTaskModel, load


def plain(model: MultiTaskModel) -> object:
    """The config as JSON gives it back: tuples are lists."""
    return json.loads(json.dumps(model.get_config()))


@pytest.mark.process
def test_another_process_continues_where_this_one_saved(tiny_data: PreparedData, tmp_path: Path) -> None:
    models = {preset: tiny_model(tiny_data.inputs, preset) for preset in PRESETS}
    models["mmoe"].compile(keras.optimizers.Adam(0.02))
    models["mmoe"].fit(tiny_data.train(90), epochs=1, verbose=0)
    for preset, model in models.items():
        model.save(tmp_path / f"{preset}.keras")
    run_fresh(Path(__file__).with_name("resume.py"), tiny_data.directory, tmp_path)
    for preset, model in models.items():
        here, there = state(model, tiny_data), np.load(tmp_path / f"{preset}.npz")
        assert set(there) == set(here)
        for name, values in here.items():
            np.testing.assert_array_equal(there[name], values, err_msg=f"{preset} {name}")
        if preset == "mmoe":
            assert int(here["saved/optimizer/0"]) == 4, "four steps were made"
            assert np.any(here["resumed/click"] != here["saved/click"])


@pytest.mark.parametrize("preset", PRESETS)
def test_saved_and_loaded_predicts_the_same(tiny_data: PreparedData, preset: str, tmp_path: Path) -> None:
    model = tiny_model(tiny_data.inputs, preset, dropout=0.3)
    randomize_weights(model)
    model.compile("sgd", jit_compile=True)
    model.save(tmp_path / "model.keras")
    loaded = load(tmp_path / "model.keras")
    assert plain(loaded) == plain(model)
    assert (type(loaded.optimizer), loaded.jit_compile) == (keras.optimizers.SGD, True)
    features, _ = whole_split(tiny_data, "test")
    expected = model(features)
    for task, values in loaded(features).items():
        np.testing.assert_array_equal(values, expected[task])


def policies(model: MultiTaskModel) -> list[str]:
    """The precision of every layer."""
    return sorted(f"{layer.dtype_policy.name} {type(layer).__name__}" for layer in model._flatten_layers())


def test_mixed_precision_is_kept(tiny_data: PreparedData, tmp_path: Path) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = tiny_model(tiny_data.inputs)
    finally:
        keras.config.set_dtype_policy("float32")
    model.save(tmp_path / "model.keras")
    loaded = load(tmp_path / "model.keras")
    assert policies(loaded) == policies(model)
    assert set(policies(model)) >= {"mixed_bfloat16 FeatureEmbedding", "mixed_bfloat16 BinaryHead", "float32 Dense"}
    features, _ = whole_split(tiny_data, "test")
    expected = model(features)
    for task, values in loaded(features).items():
        np.testing.assert_array_equal(values, expected[task])


def test_config_round_trip() -> None:
    model = tiny_model(tiny_inputs(), "dtrn")
    clone = MultiTaskModel.from_config(model.get_config())
    clone.build()
    assert clone.get_config() == model.get_config()
    assert [weight.shape for weight in clone.weights] == [weight.shape for weight in model.weights]


def test_load_errors(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with pytest.raises(FileNotFoundError) as caught:
        load(path)
    assert str(caught.value) == f"load: no model file at '{path}'. Give a .keras file that model.save() wrote."
    with pytest.raises(FileNotFoundError):
        load(tmp_path)
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(path)
    with pytest.raises(ValueError, match=r"must hold a MultiTaskModel. Received: Sequential"):
        load(path)
    path.write_bytes(b"not a model")
    with pytest.raises(ValueError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
