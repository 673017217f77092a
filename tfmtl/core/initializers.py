"""Initializers of embeddings and fields, and for tensors that stack several kernels."""

from typing import Any

import keras

from tfmtl.schema.checks import error_text

SPREAD = 0.05
"""Largest size of an entry of an embedding, or of a field, when training begins."""


def small_uniform(spread: float = SPREAD) -> keras.initializers.Initializer:
    """A new initializer with seed of its own: uniform in `[-spread, spread]`.

    Args:
        spread: float. Largest size of an entry. Defaults to `0.05`, with which embeddings start.
    """
    return keras.initializers.RandomUniform(-spread, spread)


def stacked_initializer(initializer: Any) -> Any:
    """Makes an initializer right for a stack of kernels `(N, in, out)`.

    The stack is drawn as ONE tensor, so no two of its N kernels start equal. Keras takes the leading axis of such a
    shape for the receptive field of a convolution, which would make Glorot and He kernels smaller by a factor of
    `sqrt(N)`; here the fans are those of one kernel, `in` and `out`.

    Args:
        initializer: A Keras initializer, its name, or its config. Glorot, He, LeCun and `VarianceScaling` get the
            fans of one kernel; an initializer that treats all entries alike (normal, uniform, zeros, ...) is used
            as it is.

    Returns:
        A Keras initializer that is serializable without help from this package.

    Raises:
        ValueError: If the initializer builds one matrix (orthogonal, identity), which a stack is not.
    """
    initializer = keras.initializers.get(initializer)
    if isinstance(initializer, keras.initializers.Orthogonal | keras.initializers.Identity):
        name = type(initializer).__name__
        advice = "Use 'glorot_uniform' or 'he_normal'."
        raise ValueError(
            error_text("stacked_initializer", "initializer", "draw its entries independently", name, advice)
        )
    if not isinstance(initializer, keras.initializers.VarianceScaling):
        return initializer
    return keras.initializers.VarianceScaling(
        scale=initializer.scale,
        mode=initializer.mode,
        distribution=initializer.distribution,
        # Not `initializer.seed`: an unseeded initializer object used by two layers would give both the same draw.
        seed=initializer.get_config()["seed"],
        input_axes=(1,),
        output_axes=(2,),
    )
