"""Build one optimizer from the two arguments of `MultiTaskModel.compile`."""

from typing import Any

import keras

from tfmtl.optimizers import Adam, LazyAdam, Split

DEFAULT_LEARNING_RATE = 1e-3


def split_optimizer(optimizer: Any, embedding_optimizer: Any) -> Any:
    """One optimizer for the arguments of `MultiTaskModel.compile`.

    Args:
        optimizer: Keras optimizer, its name or `None`: Adam.
        embedding_optimizer: of the tables, likewise; `None`: that of all weights or, where there is none, `LazyAdam`.
    """
    if embedding_optimizer is None:
        if optimizer is not None:
            return optimizer
        embedding_optimizer = LazyAdam(DEFAULT_LEARNING_RATE)
    rest = Adam(DEFAULT_LEARNING_RATE) if optimizer is None else keras.optimizers.get(optimizer)
    return Split(tables=keras.optimizers.get(embedding_optimizer), rest=rest)
