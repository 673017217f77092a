"""Training runs and their evaluation."""

from tfmtl.training.evaluate import evaluate, predict
from tfmtl.training.fit import fit
from tfmtl.training.strategy import get_strategy
from tfmtl.training.train_options import TrainOptions

__all__ = ["TrainOptions", "evaluate", "fit", "get_strategy", "predict"]
