"""MultiTaskModel as a layer: what it puts out, what it starts from, its arguments."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_inputs, tiny_model, whole_split
from tests.unit.models.reference_losses import TASKS
from tfmtl.data import PreparedData
from tfmtl.data.example_spec import encoded_signature
from tfmtl.layers.bottom.concatenation_bottom import ConcatenationBottom
from tfmtl.layers.sharing.shared_network import SharedNetwork
from tfmtl.models import PRESETS, MultiTaskModel


@pytest.mark.parametrize("preset", PRESETS)
def test_call(tiny_data: PreparedData, preset: str) -> None:
    model = tiny_model(tiny_data.inputs, preset)
    features, _ = whole_split(tiny_data, "test")
    outputs = model(features)
    assert tuple(outputs) == TASKS
    for task, values in outputs.items():
        assert values.shape == (120,)
        assert values.dtype == tf.float32
        assert np.all(np.isfinite(values))
        assert np.std(values) > 0.0, task
    for task in ("click", "buy"):
        assert np.all((outputs[task] >= 0.0) & (outputs[task] <= 1.0))
    raw = model.raw_outputs(features)
    clicked = outputs["click"] if model.chain != "none" else 1.0  # a chain's heads put out conditional logits
    np.testing.assert_allclose(outputs["buy"], clicked / (1.0 + np.exp(-raw["buy"].numpy())), rtol=1e-5)
    mean, deviation = tiny_data.inputs.label_means["watch"], tiny_data.inputs.label_deviations["watch"]
    np.testing.assert_allclose(outputs["watch"], raw["watch"] * deviation + mean, rtol=1e-6)
    alone = model({key: value[:1] for key, value in features.items()})
    for task in TASKS:
        np.testing.assert_allclose(alone[task], outputs[task][:1], rtol=1e-5)
    predicted = model.predict(features, batch_size=50, verbose=0)
    for task in TASKS:
        np.testing.assert_allclose(predicted[task], outputs[task], rtol=1e-5)


def test_untrained_model_predicts_the_base_rates(tiny_data: PreparedData) -> None:
    outputs = tiny_model(tiny_data.inputs)(whole_split(tiny_data, "train")[0])
    for task, mean in tiny_data.inputs.label_means.items():
        assert float(np.mean(outputs[task])) == pytest.approx(mean, rel=0.05)


def test_no_two_kernels_start_equal() -> None:
    matrices = []
    for weight in tiny_model(tiny_inputs(), "dtrn").trainable_weights:
        value = weight.numpy()
        if "kernel" in weight.name:
            matrices.extend(value if value.ndim == 3 else [value])
    assert len(matrices) > 20
    for one, other in itertools.combinations(matrices, 2):
        assert one.shape != other.shape or np.any(one != other)


@pytest.mark.parametrize("preset", PRESETS)
def test_build_needs_no_data_and_makes_every_weight(preset: str) -> None:
    model = tiny_model(tiny_inputs(), preset)
    count = len(model.weights)
    assert count
    assert all(layer.built for layer in model._flatten_layers())
    signature = encoded_signature(model.inputs.problem)
    model({key: tf.zeros([2, *spec.shape[1:]], spec.dtype) for key, spec in signature.items()})
    assert len(model.weights) == count


def test_arguments_are_checked() -> None:
    parts = (ConcatenationBottom(), SharedNetwork(3, (8,)))
    with pytest.raises(TypeError, match="MultiTaskModel: `tower_units` must be a non-empty sequence of positive ints"):
        MultiTaskModel(tiny_inputs(), *parts, tower_units=8)
    with pytest.raises(ValueError, match=r"FeatureEmbedding: `dim` must be a positive int. Received: dim=0"):
        MultiTaskModel(tiny_inputs(), *parts, embedding_dim=0)
    with pytest.raises(ValueError, match=r"MultiTaskModel: `dropout` must lie in \[0, 1\). Received: dropout=2.0"):
        MultiTaskModel(tiny_inputs(), *parts, tower_units=(), dropout=2.0)


@pytest.mark.parametrize("num_tasks", [2, 4])
def test_every_task_needs_a_representation(num_tasks: int) -> None:
    """Without towers, which would see it; with one too many the last would be left out without a word."""
    sharing = SharedNetwork(num_tasks, (8,))
    model = MultiTaskModel(tiny_inputs(), ConcatenationBottom(), sharing, tower_units=())
    expected = rf"MultiTaskModel: `sharing.shape` must have size 3 on axis 1. Received: .*\(None, {num_tasks}, 8\)"
    with pytest.raises(ValueError, match=expected):
        model.build()


def test_embedding_dim_and_dropout_change_the_model(tiny_data: PreparedData) -> None:
    def model(**arguments) -> MultiTaskModel:
        keras.utils.set_random_seed(0)
        model = MultiTaskModel(tiny_data.inputs, ConcatenationBottom(), SharedNetwork(3, (8,)), **arguments)
        model.build()
        return model

    assert model(embedding_dim=6).embedding.compute_output_shape()["fields"][-1] == 6
    assert model(tower_units=(5, 4)).towers.hidden_units == (5, 4)
    features, _ = whole_split(tiny_data, "valid")
    for dropout, differ in ((0.0, False), (0.5, True)):
        candidate = model(dropout=dropout)
        trained = candidate(features, training=True)["click"]
        assert bool(np.any(trained != candidate(features)["click"])) is differ
