"""Training runs and their evaluation."""

from tfmtl.training.conflict_monitor import ConflictMonitor
from tfmtl.training.evaluate import evaluate, predict
from tfmtl.training.fit import fit
from tfmtl.training.label_leaks import LabelLeak, find_label_leaks
from tfmtl.training.stop_on_nan import StopOnNaN
from tfmtl.training.strategy import get_strategy
from tfmtl.training.train_options import TrainOptions
from tfmtl.training.training_error import TrainingError
from tfmtl.training.weight_average import WeightAverage

__all__ = [
    "ConflictMonitor",
    "LabelLeak",
    "StopOnNaN",
    "TrainOptions",
    "TrainingError",
    "WeightAverage",
    "evaluate",
    "find_label_leaks",
    "fit",
    "get_strategy",
    "predict",
]
