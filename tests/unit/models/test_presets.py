"""Presets: names, options, and that each option does something."""

import inspect
from collections.abc import Callable
from functools import cache

import keras
import numpy as np
import pytest

from tests.support.tiny_problem import tiny_inputs, tiny_model, whole_split
from tfmtl.data import PreparedData
from tfmtl.layers.bottom.apem_bottom import APEMBottom
from tfmtl.layers.bottom.concatenation_bottom import ConcatenationBottom
from tfmtl.layers.bottom.dtrn_bottom import DTRNBottom
from tfmtl.layers.bottom.interaction_bottom import InteractionBottom
from tfmtl.layers.bottom.soft_selection_bottom import SoftSelectionBottom
from tfmtl.layers.bottom.stem_bottom import STEMBottom
from tfmtl.layers.sharing.heterogeneous import HeterogeneousExperts
from tfmtl.layers.sharing.mmoe import MMoE
from tfmtl.layers.sharing.ple import PLE
from tfmtl.layers.sharing.shared_network import SharedNetwork
from tfmtl.layers.sharing.single_task import SingleTask
from tfmtl.layers.sharing.stem import STEM
from tfmtl.models import PRESETS, from_preset

OTHER = {
    "adaptive": False,
    "behavior_dim": 0,
    "bottom": "tfmtl.layers:SoftSelectionBottom",
    "chain": "dependence",
    "conditioning": "adapter",
    "correlation": "cosine",
    "cross_rank": 2,
    "dropout": 0.4,
    "encoder": "independent",
    "expectation_weight": 0.3,
    "function": None,
    "gate": "sigmoid",
    "hidden_units": (12, 8),
    "kind": "cin",
    "least_propensity": 0.9,
    "load_balance_weight": 0.5,
    "mappings": ("identity", "sin", "cos"),
    "num_blocks": 2,
    "num_experts": 3,
    "num_groups": 3,
    "num_heads": 1,
    "num_layers": 3,
    "num_levels": 1,
    "num_private_experts": 2,
    "num_public_experts": 2,
    "num_shared_experts": 3,
    "num_specific_experts": 3,
    "number_bins": 4,
    "pooling": "target",
    "private_experts": "mlp",
    "propensity_weight": 0.7,
    "rank": 3,
    "reduction": 3,
    "se_axis": "field",
    "selection": "softmax",
    "sharing": "ple",
    "squeeze": "flatten",
    "task_dim": 0,
    "top_k": 1,
    "tower_units": (9,),
    "use_set_attention": False,
    "use_skip": False,
}
# What an option needs to mean something: experts in the sharing layer, marginals that a chain does not tie already.
WITH = {
    ("interaction", "num_experts"): {"sharing": "mmoe"},
    ("apem", "expectation_weight"): {"chain": "none"},
    ("dtrn", "rank"): {"conditioning": "low_rank"},
    ("esmm", "propensity_weight"): {"chain": "inverse_propensity"},
    ("esmm", "least_propensity"): {"chain": "inverse_propensity"},
}
OPTIONS = [
    (preset, option)
    for preset, function in PRESETS.items()
    for option in inspect.signature(function).parameters
    if option not in ("inputs", "consistency_weight")  # the latter is for lifetimes: test_creative.py
]


@pytest.mark.parametrize(
    ("preset", "bottom", "sharing"),
    [
        ("single_task", ConcatenationBottom, SingleTask),
        ("shared_bottom", ConcatenationBottom, SharedNetwork),
        ("mmoe", ConcatenationBottom, MMoE),
        ("ple", ConcatenationBottom, PLE),
        ("stem", STEMBottom, STEM),
        ("esmm", ConcatenationBottom, SingleTask),
        ("aitm", ConcatenationBottom, SingleTask),
        ("interaction", InteractionBottom, SharedNetwork),
        ("dtrn", DTRNBottom, MMoE),
        ("dephn", SoftSelectionBottom, HeterogeneousExperts),
        ("apem", APEMBottom, SingleTask),
        ("creative", ConcatenationBottom, SharedNetwork),
    ],
)
def test_composition(preset: str, bottom: type, sharing: type) -> None:
    model = from_preset(preset, tiny_inputs())
    assert (type(model.bottom), type(model.sharing), model.name) == (bottom, sharing, preset)
    assert model.built
    assert preset in PRESETS


@pytest.mark.parametrize("sharing", ["single_task", "shared_network", "mmoe", "ple"])
@pytest.mark.parametrize("preset", ["dtrn", "interaction"])
def test_any_sharing_fits_on_a_bottom(preset: str, sharing: str) -> None:
    model = from_preset(preset, tiny_inputs(), sharing=sharing)
    expected = {"single_task": SingleTask, "shared_network": SharedNetwork, "mmoe": MMoE, "ple": PLE}
    assert type(model.sharing) is expected[sharing]


@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (None, TypeError), ("abc", TypeError)])
@pytest.mark.parametrize("sharing", ["single_task", "mmoe", "ple"])
def test_number_of_experts_is_checked_whatever_the_sharing(sharing: str, value: object, error: type) -> None:
    with pytest.raises(error, match="`num_experts` must be a positive int"):
        from_preset("dtrn", tiny_inputs(), sharing=sharing, num_experts=value)


@pytest.mark.parametrize("kind", ["dcn_v2", "fm", "cin", "autoint", "senet", "fibinet"])
def test_interactions(tiny_data: PreparedData, kind: str) -> None:
    features, labels = whole_split(tiny_data, "train")
    model = from_preset("interaction", tiny_data.inputs, kind=kind)
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    losses = [model.train_on_batch(features, labels, return_dict=True)["loss"] for _ in range(8)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("preset", PRESETS)
def test_the_data_are_no_inputs(small_data: PreparedData, preset: str) -> None:
    with pytest.raises(
        TypeError, match=f"^{preset}: `inputs` must be a ModelInputs. Received: .*Prepared data of small"
    ):
        PRESETS[preset](small_data)


def test_unknown_interaction() -> None:
    with pytest.raises(ValueError, match=r"interaction: `kind` must be one of .*'fibinet'.* Received: kind='deepfm'"):
        from_preset("interaction", tiny_inputs(), kind="deepfm")


Arrays = list[np.ndarray]


def behavior(data: PreparedData, preset: str, is_raised: bool, **options: object) -> Arrays:
    """Weights and outputs after one step."""
    features, labels = ({key: value[:16] for key, value in part.items()} for part in whole_split(data, "train"))
    keras.utils.set_random_seed(0)
    model = tiny_model(data.inputs, preset, **options)
    if is_raised:
        model.heads["buy"].weights[-1].assign([2.0])
    model.compile(keras.optimizers.SGD(0.5), run_eagerly=True)
    model.train_on_batch(features, labels)  # some options only show in the gradient
    return [np.asarray(value) for value in (*model.get_weights(), *model(features, training=True).values())]


def same(one: Arrays, other: Arrays) -> bool:
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def plain(small_data: PreparedData) -> Callable[..., Arrays]:
    """What a preset does without a change: made once for all its options, and twice to see that it repeats itself."""

    @cache
    def made(preset: str, is_raised: bool, options: tuple[tuple[str, object], ...]) -> Arrays:
        first, second = (behavior(small_data, preset, is_raised, **dict(options)) for _ in range(2))
        assert same(first, second), "without a change nothing may differ, or the test shows nothing"
        return first

    return made


@pytest.mark.parametrize(("preset", "option"), OPTIONS)
def test_option_changes_something(
    small_data: PreparedData, plain: Callable[..., Arrays], preset: str, option: str
) -> None:
    given = WITH.get((preset, option), {})
    is_raised = option == "expectation_weight"  # the calibrator acts where a task is above its parent
    changed = behavior(small_data, preset, is_raised, **given, **{option: OTHER[option]})
    assert not same(plain(preset, is_raised, tuple(given.items())), changed)


def test_unknown_preset() -> None:
    with pytest.raises(ValueError) as caught:
        from_preset("mmeo", tiny_inputs())
    assert str(caught.value) == (
        f"from_preset: `name` must be one of {list(PRESETS)}. "
        "Received: name='mmeo'. Use one of these. Did you mean 'mmoe'?"
    )


@pytest.mark.parametrize(("option", "hint"), [("num_expert", " Did you mean 'num_experts'?"), ("zzz", "")])
def test_unknown_option(option: str, hint: str) -> None:
    with pytest.raises(TypeError) as caught:
        from_preset("mmoe", tiny_inputs(), **{option: 3})
    assert str(caught.value) == (
        "from_preset: `options` must be among ['num_experts', 'top_k', 'load_balance_weight', 'hidden_units', "
        "'tower_units', 'pooling', 'bottom', 'dropout', 'number_bins'] "
        f"for preset 'mmoe'. Received: options={{'{option}': 3}}. Use these.{hint}"
    )


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"num_experts": 0}, ValueError, "MMoE: `num_experts` must be a positive int"),
        ({"hidden_units": 64}, TypeError, "MMoE: `hidden_units` must be a non-empty sequence of positive ints"),
        ({"tower_units": 64}, TypeError, "MultiTaskModel: `tower_units` must be a non-empty sequence"),
        ({"pooling": "men"}, ValueError, "ConcatenationBottom: `pooling` must be one of"),
        ({"dropout": 1.5}, ValueError, r"MMoE: `dropout` must lie in \[0, 1\)"),
    ],
)
def test_wrong_value(options: dict, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        from_preset("mmoe", tiny_inputs(), **options)
