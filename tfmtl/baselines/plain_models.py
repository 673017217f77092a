"""Boosted trees and linear models of scikit-learn for one task, their settings chosen on the validation split."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

# Tried one after the other; how many trees, early stopping decides.
_TREES: tuple[dict[str, Any], ...] = (
    {"learning_rate": 0.1, "max_leaf_nodes": 31, "min_samples_leaf": 20},
    {"learning_rate": 0.1, "max_leaf_nodes": 8, "min_samples_leaf": 100, "l2_regularization": 10.0},
)
_MOST_TREES = 300
_PATIENCE = 10
_PENALTIES = (1e-2, 1e-4)  # of a linear model's squared weights, per row
_FEWEST = 20  # values of a column that is read, and rows of the smaller class of which some can be set aside
_ITERATIONS = 200
_LEAST = 1e-6  # of a probability, in the log loss that chooses


@dataclass(frozen=True)
class Rows:
    """Rows with a label.

    Args:
        inputs: float32 `(N, C)`, NaN where missing.
        labels: float32 `(N,)`.
        weights: float32 `(N,)` or None, where every row counts once.
    """

    inputs: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None = None


Predict = Callable[[np.ndarray], np.ndarray]
"""float32 `(N, C)` to probabilities or means, float64 `(N,)`."""


def boosted_trees(train: Rows, valid: Rows, is_share: bool, categories: Sequence[int], seed: int) -> Predict:
    """Gradient boosting on histograms (Friedman 2001; Ke et al. 2017, https://papers.nips.cc/paper/6907).

    Each setting stops when the validation loss has not fallen for ten trees; the one with the lowest is returned. Where
    the validation split has no label, or labels of one class, a random tenth of the training rows stops the first one.

    Args:
        train: `Rows`.
        valid: `Rows`.
        is_share: bool. Whether labels are 0 and 1.
        categories: places of the columns that hold categories.
        seed: int.
    """
    ensemble = import_module("sklearn.ensemble")
    kind = ensemble.HistGradientBoostingClassifier if is_share else ensemble.HistGradientBoostingRegressor
    kept = (~np.isnan(train.inputs)).sum(axis=0) >= _FEWEST  # of an empty column scikit-learn finds no boundaries
    is_category = np.isin(np.arange(train.inputs.shape[1]), categories)[kept]
    given: dict[str, Any] = {"sample_weight": train.weights}
    validates = _can_validate(valid, is_share)
    if validates:
        given |= {"X_val": valid.inputs[:, kept], "y_val": valid.labels, "sample_weight_val": valid.weights}
    tried = []
    for setting in _TREES if validates else _TREES[:1]:
        model = kind(
            **setting,
            max_iter=_MOST_TREES,
            early_stopping=validates or _can_set_aside(train, is_share),
            n_iter_no_change=_PATIENCE,
            categorical_features=is_category if is_category.any() else None,
            random_state=seed,
        )
        model.fit(train.inputs[:, kept], train.labels, **given)
        predict = _predictor(model, is_share)
        tried.append(lambda rows, predict=predict: predict(rows[:, kept]))
    return _best(tried, valid, is_share) if validates else tried[0]


def linear_model(train: Rows, valid: Rows, is_share: bool) -> Predict:
    """Logistic regression, or least squares with a penalty; columns are standardized, and flags say what is missing.

    Args:
        train: `Rows`.
        valid: `Rows`; chooses the strength of the penalty.
        is_share: bool. Whether labels are 0 and 1.
    """
    linear = import_module("sklearn.linear_model")
    design = _Design(train.inputs)
    inputs, tried = design(train.inputs), []
    validates = _can_validate(valid, is_share)
    for penalty in _PENALTIES if validates else _PENALTIES[:1]:
        if is_share:
            model = linear.LogisticRegression(C=1.0 / (penalty * len(inputs)), max_iter=_ITERATIONS, tol=1e-3)
        else:
            model = linear.Ridge(alpha=penalty * len(inputs))
        model.fit(inputs, train.labels, sample_weight=train.weights)
        predict = _predictor(model, is_share)
        tried.append(lambda rows, predict=predict: predict(design(rows)))
    return _best(tried, valid, is_share) if validates else tried[0]


class _Design:
    """Columns with mean 0 and deviation 1 of the training rows, and a flag behind for each that has missing values."""

    def __init__(self, inputs: np.ndarray) -> None:
        missing = np.isnan(inputs)
        self._flagged = missing.any(axis=0)
        present = np.maximum((~missing).sum(axis=0), 1)
        filled = np.where(missing, 0.0, inputs.astype(np.float64))
        self._mean = filled.sum(axis=0) / present
        squares = np.where(missing, 0.0, (filled - self._mean) ** 2).sum(axis=0) / present
        self._deviation = np.where(squares > 0.0, np.sqrt(squares), 1.0)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        missing = np.isnan(inputs)
        scaled = np.where(missing, 0.0, (inputs - self._mean) / self._deviation)
        return np.concatenate([np.clip(scaled, -10.0, 10.0), missing[:, self._flagged]], axis=1)


def _can_validate(valid: Rows, is_share: bool) -> bool:
    return len(valid.labels) > 0 and (not is_share or len(np.unique(valid.labels)) == 2)


def _can_set_aside(train: Rows, is_share: bool) -> bool:
    positives = int((train.labels > 0.5).sum())
    return min(positives, len(train.labels) - positives) >= _FEWEST if is_share else len(train.labels) >= _FEWEST


def _predictor(model: Any, is_share: bool) -> Predict:
    def predict(inputs: np.ndarray) -> np.ndarray:
        found = model.predict_proba(inputs)[:, 1] if is_share else model.predict(inputs)
        return np.asarray(found, np.float64)

    return predict


def _best(tried: Sequence[Predict], valid: Rows, is_share: bool) -> Predict:
    losses = [_loss(valid, predict(valid.inputs), is_share) for predict in tried]
    return tried[int(np.argmin(losses))]


def _loss(rows: Rows, predictions: np.ndarray, is_share: bool) -> float:
    if is_share:
        sure = np.clip(predictions, _LEAST, 1.0 - _LEAST)
        losses = -np.where(rows.labels > 0.5, np.log(sure), np.log1p(-sure))
    else:
        losses = (predictions - rows.labels) ** 2
    return float(np.average(losses, weights=rows.weights))
