"""The usual compositions by name. Each is a few lines: copy one to make your own."""

import inspect
from collections.abc import Callable
from typing import Any

from tfmtl.core.validation import check_one_of, did_you_mean, error_text
from tfmtl.layers.bottom.dtrn_bottom import DTRNBottom
from tfmtl.layers.bottom.shared_bottom_representation import SharedBottomRepresentation
from tfmtl.layers.sharing.mmoe import MMoE
from tfmtl.layers.sharing.shared_bottom import SharedBottom
from tfmtl.layers.sharing.single_task import SingleTask
from tfmtl.models.multi_task_model import MultiTaskModel
from tfmtl.schema import ModelInputs


def single_task(
    inputs: ModelInputs,
    *,
    hidden_units: tuple[int, ...] = (128, 64),
    tower_units: tuple[int, ...] = (64,),
    pooling: str = "mean",
    dropout: float = 0.0,
) -> MultiTaskModel:
    """A private network per task on shared embeddings; sequences are pooled (`"mean"` or `"target"`)."""
    sharing = SingleTask(len(inputs.task_names), hidden_units, dropout=dropout)
    return _built(inputs, SharedBottomRepresentation(pooling), sharing, tower_units, dropout, "single_task")


def shared_bottom(
    inputs: ModelInputs,
    *,
    hidden_units: tuple[int, ...] = (128, 64),
    tower_units: tuple[int, ...] = (64,),
    pooling: str = "mean",
    dropout: float = 0.0,
) -> MultiTaskModel:
    """One network for all tasks, a tower each (Caruana 1997)."""
    sharing = SharedBottom(len(inputs.task_names), hidden_units, dropout=dropout)
    return _built(inputs, SharedBottomRepresentation(pooling), sharing, tower_units, dropout, "shared_bottom")


def mmoe(
    inputs: ModelInputs,
    *,
    num_experts: int = 8,
    hidden_units: tuple[int, ...] = (128, 64),
    tower_units: tuple[int, ...] = (64,),
    pooling: str = "mean",
    dropout: float = 0.0,
) -> MultiTaskModel:
    """Experts shared through a gate per task (Ma et al., KDD 2018)."""
    sharing = MMoE(len(inputs.task_names), num_experts, hidden_units, dropout=dropout)
    return _built(inputs, SharedBottomRepresentation(pooling), sharing, tower_units, dropout, "mmoe")


def dtrn(
    inputs: ModelInputs,
    *,
    num_layers: int = 1,
    num_heads: int = 2,
    pooling: str = "mean",
    reduction: int = 2,
    num_experts: int = 4,
    hidden_units: tuple[int, ...] = (128, 64),
    tower_units: tuple[int, ...] = (64,),
    dropout: float = 0.0,
) -> MultiTaskModel:
    """DTRN (Liu et al., CIKM 2023; our reading): a bottom representation per task, then MMoE."""
    num_tasks = len(inputs.task_names)
    bottom = DTRNBottom(
        num_tasks, num_layers=num_layers, num_heads=num_heads, pooling=pooling, reduction=reduction, dropout=dropout
    )
    sharing = MMoE(num_tasks, num_experts, hidden_units, dropout=dropout)
    return _built(inputs, bottom, sharing, tower_units, dropout, "dtrn")


PRESETS: dict[str, Callable[..., MultiTaskModel]] = {
    "dtrn": dtrn,
    "mmoe": mmoe,
    "shared_bottom": shared_bottom,
    "single_task": single_task,
}


def from_preset(name: str, inputs: ModelInputs, **options: Any) -> MultiTaskModel:
    """The preset called `name` for `inputs`.

    Raises:
        ValueError: there is no such preset.
        TypeError: the preset has no such option.
    """
    check_one_of("from_preset", "name", name, list(PRESETS))
    known = [option for option in inspect.signature(PRESETS[name]).parameters if option != "inputs"]
    for option in options:
        if option not in known:
            rule, advice = f"be among {known} for preset {name!r}", f"Use these.{did_you_mean(option, known)}"
            raise TypeError(error_text("from_preset", "options", rule, options, advice))
    return PRESETS[name](inputs, **options)


def _built(
    inputs: ModelInputs, bottom: Any, sharing: Any, tower_units: tuple[int, ...], dropout: float, name: str
) -> MultiTaskModel:
    model = MultiTaskModel(inputs, bottom, sharing, tower_units, dropout, name=name)
    model.build()
    return model
