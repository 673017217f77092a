"""Compute what a trained head needs from all training rows, such as a Cox model's baseline."""

from pathlib import Path

import numpy as np

from tfmtl.core.label_parts import label_parts
from tfmtl.core.row_weights import row_weights
from tfmtl.data import PreparedData
from tfmtl.models import MultiTaskModel

_BATCH = 4096


def finish_heads(model: MultiTaskModel, data: PreparedData, weights: Path) -> bool:
    """Lets heads compute what they need of the training split, such as the baseline of a Cox model.

    Args:
        model: the trained model; gets the weights of the file first.
        data: what it was trained on.
        weights: the file of the best epoch.

    Returns:
        Whether there was anything to compute.
    """
    tasks = [task for task in data.problem.tasks if task.reads_training_split]
    if not tasks:
        return False
    model.load_weights(weights)
    outputs: dict[str, list[np.ndarray]] = {task.name: [] for task in tasks}
    labels: dict[str, list[np.ndarray]] = {key: [] for key in data.problem.label_keys}
    for features, batch_labels, _ in data.split("train", _BATCH):
        raw = model.raw_outputs(features)
        for name, parts in outputs.items():
            parts.append(raw[name].numpy())
        for key, parts in labels.items():
            parts.append(batch_labels[key].numpy())
    joined = {key: np.concatenate(parts) for key, parts in labels.items()}
    own_weights = row_weights(data.problem, joined)
    for task in tasks:
        counted = own_weights[task.name]
        model.behaviors[task.name].after_training(
            model.heads[task.name],
            np.concatenate(outputs[task.name]),
            label_parts(task, joined),
            None if counted is None else np.asarray(counted),
        )
    return True
