"""Multi-task models: compositions of the layers, trained by plain `fit`."""

from tfmtl.models.growth import grow_tables
from tfmtl.models.loading import load
from tfmtl.models.multi_task_model import MultiTaskModel
from tfmtl.models.multi_task_network import MultiTaskNetwork
from tfmtl.models.presets import (
    PRESETS,
    aitm,
    apem,
    creative,
    dephn,
    dtrn,
    esmm,
    from_preset,
    interaction,
    mmoe,
    ple,
    shared_bottom,
    single_task,
    stem,
)

__all__ = [
    "PRESETS",
    "MultiTaskModel",
    "MultiTaskNetwork",
    "aitm",
    "apem",
    "creative",
    "dephn",
    "dtrn",
    "esmm",
    "from_preset",
    "grow_tables",
    "interaction",
    "load",
    "mmoe",
    "ple",
    "shared_bottom",
    "single_task",
    "stem",
]
