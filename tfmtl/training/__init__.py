"""Training runs and their evaluation."""

from tfmtl.training.conflict_monitor import ConflictMonitor
from tfmtl.training.evaluate import evaluate, predict
from tfmtl.training.fit import fit
from tfmtl.training.stop_on_nan import StopOnNaN, TrainingError
from tfmtl.training.strategy import get_strategy
from tfmtl.training.train_options import TrainOptions

__all__ = [
    "ConflictMonitor",
    "StopOnNaN",
    "TrainOptions",
    "TrainingError",
    "evaluate",
    "fit",
    "get_strategy",
    "predict",
]
