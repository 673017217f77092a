"""TrainOptions and the names of the strategies."""

import json

import pytest
import tensorflow as tf

from tfmtl.training import TrainOptions, get_strategy


def test_defaults_and_json() -> None:
    options = TrainOptions(preset_options={"num_experts": 3})
    assert (options.preset, options.epochs, options.monitor, options.strategy) == ("dtrn", 5, None, "one_device")
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
        (
            {"clip_norm": 0.0},
            ValueError,
            "TrainOptions: `clip_norm` must be a positive number. Received: clip_norm=0.0",
        ),
        (
            {"clip_norm": 1.0, "strategy": "mirrored"},
            ValueError,
            "TrainOptions: `clip_norm` must be None with strategy 'mirrored'. Received: clip_norm=1.0",
        ),
        ({"ema_momentum": 1.0}, ValueError, "TrainOptions: `ema_momentum` must lie strictly between 0 and 1"),
        ({"ema_momentum": "0.9"}, TypeError, "TrainOptions: `ema_momentum` must be a finite number"),
        (
            {"ema_momentum": 0.9, "strategy": "multi_worker"},
            ValueError,
            "TrainOptions: `ema_momentum` must be None or 0 with strategy 'multi_worker'. Received: ema_momentum=0.9",
        ),
        ({"checkpoint_every": 0}, ValueError, "TrainOptions: `checkpoint_every` must be a positive int"),
        ({"deterministic": "no"}, TypeError, "TrainOptions: `deterministic` must be a bool"),
        ({"memory_check": 1}, TypeError, "TrainOptions: `memory_check` must be a bool"),
        ({"init_from": 3}, TypeError, "TrainOptions: `init_from` must be text or None. Received: init_from=3"),
        ({"balancing": "pcgrat"}, ValueError, "TrainOptions: `balancing` must be one of .* Did you mean 'pcgrad'?"),
        (
            {"balance_at": "weights"},
            ValueError,
            "TrainOptions: `balance_at` must be one of .*Received: balance_at='weights'",
        ),
        ({"sharpness": "sharp"}, ValueError, "TrainOptions: `sharpness` must be one of .*Received: sharpness='sharp'"),
        ({"sharpness": "sam", "rho": -1.0}, ValueError, "SAM: `rho` must be at least 0. Received: rho=-1.0"),
        ({"rho": 0.1}, ValueError, "TrainOptions: `rho` must be None without sharpness. Received: rho=0.1"),
        ({"decomposed": True}, ValueError, "TrainOptions: `decomposed` must be False without sharpness"),
        (
            {"monitor_conflicts": 1},
            TypeError,
            "TrainOptions: `monitor_conflicts` must be .*Received: monitor_conflicts=1",
        ),
    ],
)
def test_errors(arguments: dict, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        TrainOptions(**arguments)


def test_what_compile_is_told() -> None:
    told = TrainOptions(balancing="pcgrad", balance_at="representation", jit_compile=True).compile_arguments()
    assert told == {
        "jit_compile": True,
        "max_projected_rows": 128,
        "balancing": "pcgrad",
        "balance_at": "representation",
        "sharpness": None,
        "label_smoothing": 0.0,
    }
    sharpness = TrainOptions(sharpness="asam").compile_arguments()["sharpness"]
    assert sharpness.get_config() == {"rho": 2.0, "decomposed": False, "embeddings": False}
    sharpness = TrainOptions(sharpness="sam", rho=0.1, decomposed=True).compile_arguments()["sharpness"]
    assert sharpness.get_config() == {"rho": 0.1, "decomposed": True, "embeddings": False}


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
