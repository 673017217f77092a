"""The tasks' losses in NumPy."""

import numpy as np

from tfmtl.schema import ModelInputs

TASKS = ("click", "buy", "watch")
WEIGHTS = {"click": 1.0, "buy": 2.0, "watch": 0.5}


def numpy_losses(inputs: ModelInputs, raw, labels, weights=None) -> dict[str, float]:
    """Each task's mean over its labeled rows: cross-entropy, squared error in standard deviations."""
    losses = {}
    for task in TASKS:
        scores, known = raw[task].numpy().astype(np.float64), labels[task].numpy().astype(np.float64)
        rows = [n for n in range(len(known)) if not np.isnan(known[n])]
        if task == "watch":
            scaled = (known - inputs.label_means[task]) / inputs.label_deviations[task]
            values = (scores - scaled) ** 2
        else:
            probability = 1.0 / (1.0 + np.exp(-scores))
            values = -known * np.log(probability) - (1.0 - known) * np.log(1.0 - probability)
        row_weights = np.ones(len(known)) if weights is None else np.asarray(weights, np.float64)
        total = sum(row_weights[n] for n in rows)
        losses[task] = sum(row_weights[n] * values[n] for n in rows) / total if total else 0.0
    return losses
