"""Multi-task models: compositions of the layers, trained by plain `fit`."""

from tfmtl.models.loading import load
from tfmtl.models.multi_task_model import MultiTaskModel
from tfmtl.models.presets import PRESETS, dtrn, from_preset, mmoe, shared_bottom, single_task

__all__ = ["PRESETS", "MultiTaskModel", "dtrn", "from_preset", "load", "mmoe", "shared_bottom", "single_task"]
