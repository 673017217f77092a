"""Optimizers of embedding tables, whose step costs as much as the rows of the batch, and one of all other weights."""

from tfmtl.optimizers.adagrad import Adagrad
from tfmtl.optimizers.adam import Adam
from tfmtl.optimizers.ftrl import Ftrl
from tfmtl.optimizers.lazy_adam import LazyAdam
from tfmtl.optimizers.row_optimizer import RowOptimizer
from tfmtl.optimizers.row_wise_adagrad import RowWiseAdagrad
from tfmtl.optimizers.sgd import SGD
from tfmtl.optimizers.split import Split
from tfmtl.optimizers.sum_duplicates import sum_duplicates
from tfmtl.optimizers.warm_up_decay import WarmUpDecay

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "Ftrl",
    "LazyAdam",
    "RowOptimizer",
    "RowWiseAdagrad",
    "Split",
    "WarmUpDecay",
    "sum_duplicates",
]
