"""Presets: the usual models by name. Each is a few lines; copy one to compose your own."""

import inspect
from collections.abc import Callable
from typing import Any

from tfmtl.models.multi_task_model import MultiTaskModel
from tfmtl.models.presets.baselines import aitm, esmm, interaction, mmoe, ple, shared_bottom, single_task, stem
from tfmtl.models.presets.papers import apem, creative, dephn, dtrn
from tfmtl.schema import ModelInputs
from tfmtl.schema.checks import check_one_of, did_you_mean, error_text

__all__ = [
    "PRESETS",
    "aitm",
    "apem",
    "creative",
    "dephn",
    "dtrn",
    "esmm",
    "from_preset",
    "interaction",
    "mmoe",
    "ple",
    "shared_bottom",
    "single_task",
    "stem",
]

PRESETS: dict[str, Callable[..., MultiTaskModel]] = {
    function.__name__: function
    for function in (dtrn, dephn, apem, single_task, shared_bottom, mmoe, ple, stem, esmm, aitm, interaction, creative)
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
