"""Save all state of a run in one file, so that it resumes as if it had never stopped."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfmtl.training.non_finite import not_finite
from tfmtl.training.progress import Progress
from tfmtl.training.training_error import TrainingError, written

_PROGRESS, _LAYOUT = "progress.json", "variables.json"


def state_variables(model: keras.Model) -> list[keras.Variable]:
    """Every variable that training changes: weights, seeds of dropout, running metrics, the optimizer's.

    Whatever else the model holds as an attribute with `get_config` and `variables`, such as a balancing method, is
    included.
    """
    metrics = [variable for metric in model.metrics for variable in metric.variables]
    found = [*model.variables, *metrics, *model.optimizer.variables]
    for value in vars(model).values():
        if hasattr(value, "get_config") and hasattr(value, "variables"):
            found += [variable for variable in value.variables if isinstance(variable, keras.Variable)]
    return list({id(variable): variable for variable in found}.values())


def save_state(path: Path, model: keras.Model, progress: Progress) -> None:
    """Writes the state; one variable at a time is copied into memory.

    Raises:
        TrainingError: a weight is NaN or infinite, or the file cannot be written; an older file stays.
    """
    metrics = {id(variable) for metric in model.metrics for variable in metric.variables}
    with written(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        archive.writestr(_PROGRESS, progress.to_json())
        archive.writestr(_LAYOUT, json.dumps(_layout(model)))
        for n, variable in enumerate(state_variables(model)):
            for k, value in enumerate(_values(variable)):
                if id(variable) not in metrics and not_finite(value):
                    raise TrainingError(
                        f"fit: the weights '{variable.path}' must be finite. Received: {not_finite(value)} after step "
                        f"{progress.step} of epoch {progress.epoch + 1}. The last checkpoint is from before: lower "
                        "`learning_rate`, set `clip_norm`, or look for extreme labels and features."
                    )
                with archive.open(f"{n}_{k}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, value, allow_pickle=False)


def read_progress(path: Path) -> Progress:
    """The progress that a state file holds.

    Raises:
        OSError, zipfile.BadZipFile, ValueError, KeyError, TypeError: the file is none of `save_state`.
    """
    with zipfile.ZipFile(path) as archive:
        return Progress.from_json(archive.read(_PROGRESS))


def fits(path: Path, model: keras.Model) -> bool:
    """Whether a state file belongs to a model of these very variables."""
    with zipfile.ZipFile(path) as archive:
        return bool(json.loads(archive.read(_LAYOUT)) == _layout(model))


def restore_state(path: Path, model: keras.Model) -> None:
    """Gives every variable of the model the value in the file."""
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        for n, variable in enumerate(state_variables(model)):
            parts = _parts(variable)
            for k, part in enumerate(parts):
                # Replicas that held one value share the first array.
                name = f"{n}_{k}.npy" if f"{n}_{k}.npy" in names else f"{n}_0.npy"
                with archive.open(name) as file:
                    value = np.lib.format.read_array(file, allow_pickle=False)
                part.assign(value.view(part.dtype.as_numpy_dtype) if value.dtype.kind == "V" else value)


def _layout(model: keras.Model) -> list[list[Any]]:
    """Shapes in order; not names, which Keras numbers through the process."""
    return [[list(variable.shape), str(variable.dtype), len(_parts(variable))] for variable in state_variables(model)]


def _parts(variable: keras.Variable) -> list[Any]:
    """The TensorFlow variables behind a Keras one: one per replica."""
    value = variable.value
    return list(value.values) if isinstance(value, tf.distribute.DistributedValues) else [value]


def _values(variable: keras.Variable) -> Iterator[np.ndarray]:
    """The value on each replica; only the first where all are the same."""
    first, *others = _parts(variable)
    value = first.numpy()
    yield value
    more = [other.numpy() for other in others]
    if any(other.tobytes() != value.tobytes() for other in more):
        yield from more
