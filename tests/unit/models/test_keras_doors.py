"""What a Keras user tries first: it works, or one line says which door to take."""

import importlib
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.fresh_process import run_fresh
from tests.support.tiny_problem import tiny_inputs, tiny_model, tiny_problem
from tests.unit.models.random_batch import random_batch
from tfmtl.export import export
from tfmtl.keras_classes import MODULES
from tfmtl.layers import MMoE
from tfmtl.models import MultiTaskModel
from tfmtl.schema import BinaryTask, ModelInputs


def one_task() -> ModelInputs:
    return tiny_inputs(tiny_problem(tasks=(BinaryTask("click"),)))


@pytest.fixture(scope="module")
def fitted() -> tuple[MultiTaskModel, dict, dict]:
    model = tiny_model(one_task(), "shared_bottom")
    features, labels = random_batch(model.inputs)
    model.compile(run_eagerly=True)
    model.train_on_batch(features, labels)
    return model, features, labels


@pytest.mark.process
def test_load_model_after_import(fitted: tuple, tmp_path: Path) -> None:
    """In a process of its own, which has loaded nothing else of the package: our model, and a layer in one's own."""
    fitted[0].save(tmp_path / "model.keras")
    given = keras.Input((4,))
    keras.Model(given, MMoE(2, 2, (3,))(given)).save(tmp_path / "own.keras")
    script = f"""
import sys, keras, tfmtl
assert "tfmtl.models" not in sys.modules and "tfmtl.layers" not in sys.modules
print(keras.models.load_model({str(tmp_path / "own.keras")!r}).output_shape)
print(type(keras.models.load_model({str(tmp_path / "model.keras")!r})).__name__)
"""
    done = run_fresh("-c", script)
    assert done.stdout.split("\n")[:2] == ["(None, 2, 3)", "MultiTaskModel"]


def test_every_registered_class_is_known_by_name() -> None:
    for module in MODULES:
        importlib.import_module(module)
    listed = {name for names in MODULES.values() for name in names.split()}
    registered = {key.split(">")[1] for key in keras.saving.get_custom_objects() if key.startswith("tfmtl>")}
    assert listed == registered, f"bring tfmtl/keras_classes.py up to date: {listed ^ registered}"


def test_keras_export(fitted: tuple, tmp_path: Path) -> None:
    model, features, _ = fitted
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(tmp_path / "exported")  # held: its variables go with it
    served = exported.serve(features)
    np.testing.assert_allclose(served["click"], model(features)["click"], rtol=1e-5)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_bare_labels_of_one_task(fitted: tuple, shape: tuple) -> None:
    model, features, labels = fitted
    arrays = {name: np.array(values) for name, values in features.items()}
    found = model.evaluate(arrays, np.reshape(labels["click"], shape), verbose=0, return_dict=True)
    expected = model.evaluate(arrays, {"click": np.array(labels["click"])}, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(expected["loss"])


def test_bare_labels_of_several_tasks_are_refused() -> None:
    model = tiny_model(tiny_inputs(), "shared_bottom")
    with pytest.raises(TypeError, match=r"`labels` must be a dict\. .* Give labels as \{task: \(B,\)\} for \['click'"):
        model.labels_by_task(np.zeros(3))


def test_ids_of_int64(fitted: tuple) -> None:
    model, features, _ = fitted
    wide = {name: tf.cast(v, tf.int64) if v.dtype == tf.int32 else v for name, v in features.items()}
    np.testing.assert_array_equal(model(wide)["click"], model(features)["click"])


def test_doors_that_are_closed_say_which_is_open(fitted: tuple) -> None:
    model, features, labels = fitted
    with pytest.raises(ValueError, match=r"`class_weight` must not be given: .* Give `sample_weight`"):
        model.fit(features, labels, class_weight={0: 1.0, 1: 2.0})
    with pytest.raises(TypeError, match="export: `data` must be a PreparedData"):
        export(model, None, "nowhere")


def test_swap_ema_weights(fitted: tuple) -> None:
    """Keras's callback works with an optimizer that averages all weights."""
    model = tiny_model(one_task(), "shared_bottom")
    _, features, labels = fitted
    model.compile(keras.optimizers.Adam(0.1, use_ema=True, ema_momentum=0.5), run_eagerly=True)
    rows = tf.data.Dataset.from_tensors((features, labels)).repeat(2)
    history = model.fit(rows, validation_data=rows, callbacks=[keras.callbacks.SwapEMAWeights()], verbose=0)
    assert np.isfinite(history.history["val_loss"][0])
