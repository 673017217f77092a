"""TrainOptions and the names of the strategies."""

import json

import pytest
import tensorflow as tf

from tfmtl.training import TrainOptions, get_strategy


def test_defaults_and_json() -> None:
    options = TrainOptions(preset_options={"num_experts": 3})
    assert (options.preset, options.epochs, options.monitor, options.strategy) == ("dtrn", 10, None, "one_device")
    assert TrainOptions(**json.loads(json.dumps(options.to_dict()))) == options


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"preset": "mmeo"}, ValueError, "TrainOptions: `preset` must be one of .* Did you mean 'mmoe'?"),
        ({"strategy": "miror"}, ValueError, "TrainOptions: `strategy` must be one of .* Did you mean 'mirrored'?"),
        ({"epochs": 0}, ValueError, "TrainOptions: `epochs` must be a positive int. Received: epochs=0"),
        ({"batch_size": 0.5}, TypeError, "TrainOptions: `batch_size` must be a positive int"),
        ({"patience": True}, TypeError, "TrainOptions: `patience` must be a positive int"),
        ({"learning_rate": -1.0}, ValueError, "TrainOptions: `learning_rate` must be a positive number"),
        ({"learning_rate": float("nan")}, ValueError, "TrainOptions: `learning_rate` must be a finite number"),
        ({"seed": -1}, ValueError, "TrainOptions: `seed` must be an int of at least 0. Received: seed=-1"),
        ({"seed": 0.5}, ValueError, "TrainOptions: `seed` must be an int of at least 0. Received: seed=0.5"),
        (
            {"jit_compile": True, "strategy": "mirrored"},
            ValueError,
            "TrainOptions: `jit_compile` must be False with strategy 'mirrored'. Received: jit_compile=True",
        ),
    ],
)
def test_errors(arguments: dict, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        TrainOptions(**arguments)


def test_xla_on_one_device_is_allowed() -> None:
    assert TrainOptions(jit_compile=True).jit_compile


def test_strategies() -> None:
    assert get_strategy("one_device") is tf.distribute.get_strategy()
    mirrored = get_strategy("mirrored")
    assert isinstance(mirrored, tf.distribute.MirroredStrategy)
    assert get_strategy("mirrored") is mirrored, "two at a time would mix up each other's exchanges"
    with pytest.raises(ValueError, match=r"get_strategy: `name` must be one of .* Did you mean 'mirrored'?"):
        get_strategy("mirror")


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("multi_worker", ""),
        ("multi_worker", "{"),
        ("multi_worker", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}'),
        ("parameter_server", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}'),
    ],
)
def test_a_cluster_has_to_be_named(monkeypatch: pytest.MonkeyPatch, name: str, config: str) -> None:
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(
        ValueError, match=rf"get_strategy: `name` must come with .* Received: name='{name}'. TF_CONFIG="
    ):
        get_strategy(name)
