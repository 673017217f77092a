"""Reads and checks the columns every exact metric takes, and drops the rows without a label."""

import math
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfmtl.schema.checks import error_text

Floats: TypeAlias = NDArray[np.float64]
Booleans: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True)
class LabeledRows:
    """The rows which have a label.

    Shapes: N rows given, M of them labeled.

    Attributes:
        present: bool `(N,)`. Which of the given rows have a label.
        labels: float64 `(M,)`. Their labels.
        predictions: float64 `(M,)`, or `(M, K)` of several numbers per row. What was predicted for them.
        weights: float64 `(M,)` or None. How much they count; all the same without.
    """

    present: Booleans
    labels: Floats
    predictions: Floats
    weights: Floats | None = None

    def mean(self, values: Floats) -> float:
        """The mean over the labeled rows by weight; NaN without any."""
        if self.weights is None:
            return float(np.mean(values)) if len(values) else math.nan
        total = self.weights.sum()
        return float(np.sum(self.weights * values) / total) if total else math.nan

    def check(self, owner: str, argument: str, values: Floats, valid: Booleans, rule: str, advice: str) -> None:
        """Raises unless all of `valid` holds; the error names the first bad row as it was given."""
        bad = np.flatnonzero(~valid)
        if bad.size:
            row = np.flatnonzero(self.present)[bad[0]]
            raise ValueError(
                f"{owner}: `{argument}` must {rule}. Received: {argument}={float(values[bad[0]])!r} in row {row} "
                f"({bad.size} such rows). {advice}"
            )


def read_column(owner: str, argument: str, values: ArrayLike) -> Floats:
    """Returns `values` as float64 `(N,)`."""
    try:
        column = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{owner}: `{argument}` must hold numbers. Received: {argument} of type {type(values).__name__} "
            f"({error}). Pass a one-dimensional array of numbers."
        ) from error
    check_one_dimensional(owner, argument, column.shape)
    return column


def check_one_dimensional(owner: str, argument: str, shape: tuple[int, ...]) -> None:
    """Raises unless `shape` is `(N,)`."""
    if len(shape) != 1:
        advice = f"Pass the column of one task, e.g. {argument}[:, 0]."
        raise ValueError(error_text(owner, f"{argument}.shape", "be (N,)", shape, advice))


def check_length(owner: str, argument: str, length: int, num_labels: int) -> None:
    """Raises unless `argument` has one value for each label."""
    if length != num_labels:
        raise ValueError(
            f"{owner}: `{argument}` must have as many rows as `labels`. Received: len({argument})={length}, "
            f"len(labels)={num_labels}. Take both from the same pass over the data."
        )


def binary_rows(
    owner: str, labels: ArrayLike, argument: str, scores: ArrayLike, weights: ArrayLike | None = None
) -> LabeledRows:
    """Labeled rows of a binary task; scores are any numbers but NaN (infinities have a rank)."""
    rows = _read_rows(owner, labels, argument, scores, weights)
    binary = (rows.labels == 0) | (rows.labels == 1)
    rows.check(
        owner,
        "labels",
        rows.labels,
        binary,
        "be 0, 1 or NaN (NaN: no label)",
        "Make graded labels binary first, e.g. labels >= 4.",
    )
    rows.check(
        owner,
        argument,
        rows.predictions,
        ~np.isnan(rows.predictions),
        "not be NaN where there is a label",
        "A model which answers NaN has diverged: look at its loss.",
    )
    return rows


def probability_rows(
    owner: str, labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None
) -> LabeledRows:
    """Labeled rows of a binary task whose predictions are probabilities."""
    rows = binary_rows(owner, labels, "probabilities", probabilities, weights)
    in_range = (rows.predictions >= 0) & (rows.predictions <= 1)
    rows.check(
        owner, "probabilities", rows.predictions, in_range, "lie in [0, 1]", "Apply the sigmoid to logits first."
    )
    return rows


def regression_rows(
    owner: str, labels: ArrayLike, predictions: ArrayLike, weights: ArrayLike | None = None
) -> LabeledRows:
    """Labeled rows of a regression task; labels and predictions are finite."""
    rows = _read_rows(owner, labels, "predictions", predictions, weights)
    rows.check(
        owner,
        "labels",
        rows.labels,
        np.isfinite(rows.labels),
        "be finite or NaN (NaN: no label)",
        "Cap or drop unbounded labels first.",
    )
    rows.check(
        owner,
        "predictions",
        rows.predictions,
        np.isfinite(rows.predictions),
        "be finite where there is a label",
        "A model which answers NaN or infinity has diverged: look at its loss.",
    )
    return rows


def _read_rows(
    owner: str, labels: ArrayLike, argument: str, predictions: ArrayLike, weights: ArrayLike | None
) -> LabeledRows:
    label_column = read_column(owner, "labels", labels)
    prediction_column = read_column(owner, argument, predictions)
    check_length(owner, argument, len(prediction_column), len(label_column))
    return labeled_rows(owner, label_column, prediction_column, weights)


def labeled_rows(owner: str, labels: Floats, predictions: Floats, weights: ArrayLike | None) -> LabeledRows:
    """The rows that have a label; raises if the columns differ in length or a weight is missing or negative."""
    present = ~np.isnan(labels)
    rows = LabeledRows(present, labels[present], predictions[present])
    if weights is None:
        return rows
    column = read_column(owner, "weights", weights)
    check_length(owner, "weights", len(column), len(present))
    own = column[present]
    valid = np.isfinite(own) & (own >= 0)
    rows.check(owner, "weights", own, valid, "be finite and at least 0", "Use 0 to drop a row.")
    return replace(rows, weights=own)
