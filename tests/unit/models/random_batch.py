"""A batch for models of any problem, without preprocessing."""

import numpy as np
import tensorflow as tf

from tfmtl.data.example_spec import encoded_signature
from tfmtl.schema import ModelInputs


def random_batch(inputs: ModelInputs, rows: int = 16, seed: int = 0) -> tuple[dict, dict]:
    """Features and labels; the second task's first labels are missing."""
    generator = np.random.default_rng(seed)
    features = {}
    for key, spec in encoded_signature(inputs.problem).items():
        shape = (rows, *spec.shape[1:])
        is_id = spec.dtype == "int32"
        values = generator.integers(0, 6, shape) if is_id else generator.normal(size=shape)
        features[key] = tf.constant(values.astype("int32" if is_id else "float32"))
    labels = {}
    for task in inputs.problem.tasks:
        mean, deviation = inputs.label_means[task.name], inputs.label_deviations.get(task.name, 1.0)
        noise = generator.normal(size=rows)
        labels[task.name] = noise < 0.0 if task.kind == "binary" else mean + deviation * noise
    labels = {name: values.astype("float32") for name, values in labels.items()}
    for values in list(labels.values())[1:2]:
        values[: rows // 4] = np.nan
    return features, {name: tf.constant(values) for name, values in labels.items()}
