"""Find the weights and features that hold NaN or infinity."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from tfmtl.schema import ModelInputs

_EXTREME = 1e4  # standard deviations
_SQUARE_OVERFLOWS = 1e18  # beyond it float32 cannot hold the square


def not_finite(values: np.ndarray) -> str | None:
    """What is not finite in an array: `"NaN"`, `"an infinite value"`, or `None`."""
    if values.dtype.kind not in "fV" or np.isfinite(values.astype(np.float32, copy=False)).all():
        return None
    return "NaN" if np.isnan(values.astype(np.float32, copy=False)).any() else "an infinite value"


def weight_faults(model: keras.Model) -> list[str]:
    """The weights that hold NaN or infinite values, by name."""
    return [variable.path for variable in model.variables if not_finite(keras.ops.convert_to_numpy(variable))]


def batch_faults(inputs: ModelInputs, features: Mapping[str, Any], labels: Mapping[str, Any]) -> list[str]:
    """What in a batch may break a loss, a sentence each: NaN and infinite features, infinite labels, extreme values.

    A missing label is NaN and no fault. Extreme are values beyond 10,000 standard deviations.

    Args:
        inputs: `ModelInputs`.
        features: name -> `(B, ...)`, as the model reads them.
        labels: task -> `(B,)`.
    """
    found = []
    scaled = {each.key for each in inputs.problem.tensors if each.role == "number"}  # in standard deviations
    for name, values in features.items():
        values = np.asarray(values)
        if values.dtype.kind == "f":
            extreme = (np.abs(values) > _EXTREME) & (name in scaled)
            found += _faults(f"feature '{name}'", values, ~np.isfinite(values), extreme)
    for task, values in labels.items():
        values = np.asarray(values, np.float64)
        deviation = inputs.label_deviations.get(task) or 1.0
        distance = np.abs(values - (inputs.label_means.get(task) or 0.0)) / deviation
        extreme = (distance > _EXTREME) | (np.abs(values) > _SQUARE_OVERFLOWS)
        found += _faults(f"label '{task}'", values, np.isinf(values), extreme)
    return found


def _faults(what: str, values: np.ndarray, broken: np.ndarray, extreme: np.ndarray) -> list[str]:
    for wrong in (broken, extreme):
        if wrong.any():
            rows = np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))
            return [f"{what} is {values[wrong][0]:.6g} in row {rows[0]} ({len(rows)} of {len(values)} rows)"]
    return []
