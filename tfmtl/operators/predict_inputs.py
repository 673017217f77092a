"""What `OperatorNetwork.predict` is given: points shared by all samples."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf


def with_shared_points(x: Any, batch_size: int | None) -> Any:
    """A dict whose `points` are `(Q, d)`, for all samples, as a dataset of batches; anything else as it is.

    Keras would cut points of that shape into batches as if they were samples.
    """
    if not isinstance(x, Mapping) or "points" not in x or np.ndim(x["points"]) != 2:
        return x
    points = tf.constant(x["points"])
    rows = {name: values for name, values in x.items() if name != "points"}
    batches = tf.data.Dataset.from_tensor_slices(rows).batch(batch_size or 32)
    return batches.map(lambda features: {**features, "points": points})
