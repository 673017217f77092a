"""The skip around a sequence encoder."""

import keras
from keras import ops

from tfmtl.core.types import Tensor

# What a norm puts out has deviation 1, and embeddings start far smaller: encoded events join at about their size.
SKIP_START = keras.initializers.Constant(0.1)


def skip(events: Tensor, encoded: Tensor, scale: Tensor) -> Tensor:
    """Returns `events + scale * encoded`, computed in float32, in the type of `encoded`."""
    joined = ops.cast(events, "float32") + ops.convert_to_tensor(scale) * ops.cast(encoded, "float32")
    return ops.cast(joined, encoded.dtype)
