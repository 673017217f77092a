"""The optimizers of a run."""

from collections.abc import Callable
from typing import Any

import keras

from tfmtl.optimizers import SGD, Adagrad, Adam, LazyAdam, RowWiseAdagrad, WarmUpDecay
from tfmtl.training.train_options import TrainOptions

_KINDS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "adam": (Adam, LazyAdam),
    "adam_adagrad": (Adam, Adagrad),
    "adam_row_wise_adagrad": (Adam, RowWiseAdagrad),
    "adagrad": (keras.optimizers.Adagrad, Adagrad),
    "sgd": (keras.optimizers.SGD, SGD),
}

_NOT_DECAYED = ("bias", "scale", "shift")


def make_optimizers(options: TrainOptions, steps: int) -> tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer]:
    """The optimizer of the dense weights and that of the tables.

    Args:
        options: `TrainOptions`.
        steps: int. Steps of the whole run, over which the learning rate falls.
    """
    dense, tables = _KINDS[options.optimizer]
    decay = {"weight_decay": options.weight_decay} if options.weight_decay else {}
    return (
        dense(_rate(options, steps), global_clipnorm=options.clip_norm, **decay),
        tables(_rate(options, steps), global_clipnorm=options.clip_norm, l2=options.embedding_l2),
    )


def _rate(options: TrainOptions, steps: int) -> Any:
    if options.schedule == "constant" and not options.warm_up:
        return options.learning_rate  # a number, so that a callback may change it
    return WarmUpDecay(options.learning_rate, options.schedule, steps, options.warm_up, options.final_rate)


def without_decay(model: keras.Model) -> list[keras.Variable]:
    """The weights that weight decay leaves alone: biases and norms, which hold what a constant would answer."""
    return [each for each in model.trainable_variables if len(each.shape) < 2 or each.name in _NOT_DECAYED]
