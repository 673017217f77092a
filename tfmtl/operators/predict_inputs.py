"""What `OperatorNetwork.predict` is given: points shared by all samples, and coefficients to look at beforehand."""

from collections.abc import Mapping, Sequence
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


def coefficient_rows(x: Any, names: Sequence[str], steps: int | None) -> dict[str, list[list[float]]]:
    """The rows of the named inputs: of a dict of arrays, or of a dataset's first `steps` batches, all by default."""
    if isinstance(x, Mapping):
        return {name: np.asarray(x[name]).tolist() for name in names if name in x}
    if not isinstance(x, tf.data.Dataset) or not names:
        return {}
    spec = x.element_spec
    features = spec[0] if isinstance(spec, tuple) else spec
    known = [name for name in names if isinstance(features, Mapping) and name in features]
    if not known or (steps is None and x.cardinality() == tf.data.INFINITE_CARDINALITY):
        return {}
    rows: dict[str, list[list[float]]] = {name: [] for name in known}
    for batch in x.take(-1 if steps is None else steps):
        values = batch[0] if isinstance(batch, tuple) else batch
        for name in known:
            rows[name] += values[name].numpy().tolist()
    return rows
