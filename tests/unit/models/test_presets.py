"""Presets: names, options, and that each option does something."""

import inspect

import keras
import numpy as np
import pytest

from tests.support.tiny_problem import tiny_inputs, tiny_model, whole_split
from tfmtl.data import PreparedData
from tfmtl.layers.bottom.dtrn_bottom import DTRNBottom
from tfmtl.layers.bottom.shared_bottom_representation import SharedBottomRepresentation
from tfmtl.layers.sharing.mmoe import MMoE
from tfmtl.layers.sharing.shared_bottom import SharedBottom
from tfmtl.layers.sharing.single_task import SingleTask
from tfmtl.models import PRESETS, from_preset

OTHER = {
    "hidden_units": (12, 8),
    "tower_units": (9,),
    "pooling": "target",
    "dropout": 0.4,
    "num_experts": 3,
    "num_layers": 2,
    "num_heads": 1,
    "reduction": 3,
}
OPTIONS = [
    (preset, option)
    for preset, function in PRESETS.items()
    for option in inspect.signature(function).parameters
    if option != "inputs"
]


@pytest.mark.parametrize(
    ("preset", "bottom", "sharing"),
    [
        ("single_task", SharedBottomRepresentation, SingleTask),
        ("shared_bottom", SharedBottomRepresentation, SharedBottom),
        ("mmoe", SharedBottomRepresentation, MMoE),
        ("dtrn", DTRNBottom, MMoE),
    ],
)
def test_composition(preset: str, bottom: type, sharing: type) -> None:
    model = from_preset(preset, tiny_inputs())
    assert (type(model.bottom), type(model.sharing), model.name) == (bottom, sharing, preset)
    assert model.built
    assert preset in PRESETS


@pytest.mark.parametrize(("preset", "option"), OPTIONS)
def test_option_changes_something(tiny_data: PreparedData, preset: str, option: str) -> None:
    features = {key: value[:8] for key, value in whole_split(tiny_data, "train")[0].items()}

    def behaviour(**options) -> list[np.ndarray]:
        keras.utils.set_random_seed(0)
        model = tiny_model(tiny_data.inputs, preset, **options)
        return [np.asarray(value) for value in (*model.get_weights(), *model(features, training=True).values())]

    def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
        return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))

    plain = behaviour()
    assert same(plain, behaviour()), "without a change nothing may differ, or the next line shows nothing"
    assert not same(plain, behaviour(**{option: OTHER[option]}))


def test_unknown_preset() -> None:
    with pytest.raises(ValueError) as caught:
        from_preset("mmeo", tiny_inputs())
    assert str(caught.value) == (
        "from_preset: `name` must be one of ['dtrn', 'mmoe', 'shared_bottom', 'single_task']. "
        "Received: name='mmeo'. Use one of these. Did you mean 'mmoe'?"
    )


@pytest.mark.parametrize(("option", "hint"), [("num_expert", " Did you mean 'num_experts'?"), ("zzz", "")])
def test_unknown_option(option: str, hint: str) -> None:
    with pytest.raises(TypeError) as caught:
        from_preset("mmoe", tiny_inputs(), **{option: 3})
    assert str(caught.value) == (
        "from_preset: `options` must be among ['num_experts', 'hidden_units', 'tower_units', 'pooling', 'dropout'] "
        f"for preset 'mmoe'. Received: options={{'{option}': 3}}. Use these.{hint}"
    )


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"num_experts": 0}, ValueError, "MMoE: `num_experts` must be a positive int"),
        ({"hidden_units": 64}, TypeError, "MMoE: `hidden_units` must be a non-empty sequence of positive ints"),
        ({"tower_units": 64}, TypeError, "MultiTaskModel: `tower_units` must be a non-empty sequence"),
        ({"pooling": "men"}, ValueError, "SharedBottomRepresentation: `pooling` must be one of"),
        ({"dropout": 1.5}, ValueError, r"MMoE: `dropout` must lie in \[0, 1\)"),
    ],
)
def test_wrong_value(options: dict, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        from_preset("mmoe", tiny_inputs(), **options)
