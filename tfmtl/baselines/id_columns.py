"""Columns that describe ids: how often each occurs, its mean label, and the most frequent ones as categories."""

from dataclasses import dataclass

import numpy as np

from tfmtl.schema.reserved import MISSING_ID

MOST_CATEGORIES = 254
"""scikit-learn's trees take 255 categories of a column; one is for all other values."""

_FOLDS = 5
_PRIOR = 20.0  # labels that stand for the mean beside those of a value
_LEAST = 1e-4  # of a rate, before its log odds


@dataclass(frozen=True)
class IdColumns:
    """Facts about one column of ids, from the rows of the training split.

    Args:
        counts: int64 `(V,)`, rows of each id.
        places: int64 `(V,)`, 1 and up for the most frequent ids, 0 for all others.
    """

    counts: np.ndarray
    places: np.ndarray

    @classmethod
    def of(cls, ids: np.ndarray, size: int) -> "IdColumns":
        """Counts the training rows' ids; `size` is the number of rows of their table."""
        counts = np.bincount(ids, minlength=size)
        frequent = np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]
        frequent = frequent[(counts[frequent] > 0) & (frequent != MISSING_ID)]
        places = np.zeros(size, np.int64)
        places[frequent] = np.arange(1, len(frequent) + 1)
        return cls(counts, places)

    def log_counts(self, ids: np.ndarray) -> np.ndarray:
        """`log1p` of how often the ids occur in training, float32 `(N,)`."""
        return np.asarray(np.log1p(self.counts[ids]).astype(np.float32))

    def categories(self, ids: np.ndarray) -> np.ndarray:
        """The most frequent ids as 1 to 254, all others as 0, missing ones NaN; float32 `(N,)`."""
        return np.where(ids == MISSING_ID, np.float32(np.nan), self.places[ids].astype(np.float32))


def known_rates(
    ids: np.ndarray, labels: np.ndarray, size: int, is_share: bool, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The smoothed mean label of the training rows' ids without their own fold, and of every id from all rows.

    Args:
        ids: int `(N,)`.
        labels: float `(N,)`, NaN where missing.
        size: rows of the ids' table, V.
        is_share: bool. Whether labels are 0 and 1: then log odds are returned.
        seed: of the five folds.

    Returns:
        float32 `(N,)` and `(V,)`.
    """
    known = ~np.isnan(labels)
    folds = np.random.default_rng(seed).integers(0, _FOLDS, len(ids))
    cells = folds[known] * size + ids[known]
    counts = np.bincount(cells, minlength=_FOLDS * size).reshape(_FOLDS, size).astype(np.float64)
    sums = np.bincount(cells, labels[known], minlength=_FOLDS * size).reshape(_FOLDS, size)
    mean = float(labels[known].mean()) if known.any() else 0.0
    others = _smoothed(sums.sum(0) - sums, counts.sum(0) - counts, mean, is_share)
    return others[folds, ids], _smoothed(sums.sum(0), counts.sum(0), mean, is_share)


def _smoothed(sums: np.ndarray, counts: np.ndarray, mean: float, is_share: bool) -> np.ndarray:
    rates = (sums + _PRIOR * mean) / (counts + _PRIOR)
    if is_share:
        rates = np.clip(rates, _LEAST, 1.0 - _LEAST)
        rates = np.log(rates / (1.0 - rates))
    return np.asarray(rates.astype(np.float32))
