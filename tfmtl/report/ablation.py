"""What a trained model loses without single features: each is answered as if it were missing."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmtl.data import PreparedData
from tfmtl.models import MultiTaskModel
from tfmtl.training.evaluate import metrics_of, predict

_BATCH = 4096


def without_features(
    model: MultiTaskModel, data: PreparedData, split: str = "test", predicted: Mapping[str, Any] | None = None
) -> dict[str, dict[str, dict[str, Any]]]:
    """Feature -> task -> metrics of the split where the feature is missing in every row; nothing is trained.

    A feature that the others can stand in for costs little, whatever it says by itself.

    Args:
        model: `MultiTaskModel`.
        data: the `PreparedData` it was trained on, or other with the same ids.
        split: train, valid or test. Defaults to `"test"`.
        predicted: what `tfmtl.training.predict` returned of the split, if known. Defaults to `None`.
    """
    whole = predict(model, data, split) if predicted is None else predicted
    found = {}
    for feature in data.problem.features:
        tensors = feature.tensors(data.problem)
        answers: dict[str, list[np.ndarray]] = {}
        for features, _, _ in data.split(split, _BATCH):
            features = dict(features)
            for each in tensors:
                features[each.key] = np.full(features[each.key].shape, each.missing, each.dtype)
            for name, values in model.predict_on_batch(features).items():
                answers.setdefault(name, []).append(values)
        joined = {name: np.concatenate(parts) for name, parts in answers.items()}
        if joined:
            found[feature.name] = metrics_of(data, {**whole, "predictions": joined}, baselines=False)
    return found
