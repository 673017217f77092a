"""Functions that all presets use."""

from typing import Any

from tfmtl.layers.bottom.bottom_layer import BottomLayer
from tfmtl.layers.bottom.concatenation_bottom import ConcatenationBottom
from tfmtl.layers.sharing.mmoe import MMoE
from tfmtl.layers.sharing.ple import PLE
from tfmtl.layers.sharing.shared_network import SharedNetwork
from tfmtl.layers.sharing.sharing_layer import SharingLayer
from tfmtl.layers.sharing.single_task import SingleTask
from tfmtl.layers.user_layers import make_user_layer
from tfmtl.models.multi_task_model import MultiTaskModel
from tfmtl.schema import ModelInputs
from tfmtl.schema.checks import check_positive_int, error_text

Widths = tuple[int, ...]

NUMBER_BINS = 16
"""Bins of piecewise linear numbers that presets have; 0 gives `x w + b` alone, as before there were any."""


def count_tasks(owner: str, inputs: object) -> int:
    """The number of tasks.

    Raises:
        TypeError: `inputs` is something else, such as the data whose `inputs` were meant.
    """
    if not isinstance(inputs, ModelInputs):
        raise TypeError(error_text(owner, "inputs", "be a ModelInputs", inputs, "Give the `inputs` of a PreparedData."))
    return len(inputs.task_names)


def built(name: str, inputs: ModelInputs, bottom: Any, sharing: Any, **parts: Any) -> MultiTaskModel:
    """The model of these parts, built."""
    model = MultiTaskModel(inputs, bottom, sharing, name=name, **parts)
    model.build()
    return model


def sharing_layer(
    owner: str, sharing: str, num_tasks: int, num_experts: int, hidden_units: Widths, dropout: float
) -> SharingLayer:
    """The sharing layer of a name; with PLE half of `num_experts` are shared, and each task has as many of its own.

    An own layer, by its registered name or as `module:Class`, is made with those of `num_tasks`, `num_experts`,
    `hidden_units` and `dropout` that its constructor names.
    """
    check_positive_int(owner, "num_experts", num_experts)
    if sharing == "single_task":
        return SingleTask(num_tasks, hidden_units, dropout=dropout)
    if sharing == "shared_network":
        return SharedNetwork(num_tasks, hidden_units, dropout=dropout)
    if sharing == "mmoe":
        return MMoE(num_tasks, num_experts, hidden_units, dropout=dropout)
    if sharing == "ple":
        half = max(1, num_experts // 2)
        return PLE(num_tasks, 1, half, half, hidden_units, dropout=dropout)
    own: SharingLayer = make_user_layer(
        owner,
        "sharing",
        sharing,
        num_tasks=num_tasks,
        num_experts=num_experts,
        hidden_units=hidden_units,
        dropout=dropout,
    )
    return own


def bottom_layer(owner: str, bottom: str, num_tasks: int, pooling: str, dropout: float) -> BottomLayer:
    """The bottom of a name; a user's class gets those of these arguments that its constructor has."""
    if bottom == "concatenation":
        return ConcatenationBottom(pooling)
    own: BottomLayer = make_user_layer(owner, "bottom", bottom, num_tasks=num_tasks, pooling=pooling, dropout=dropout)
    return own
