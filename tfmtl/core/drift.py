"""Drift: how different two distributions of one feature are."""

import math

import numpy as np

STABLE, SHIFTED = 0.1, 0.25  # the usual reading: below the first no drift, above the second a large one
_PRIOR = 0.5  # added to every count, so that a value seen in one split only has a finite weight
_TOP_VALUES = 30


def population_stability_index(expected: np.ndarray, actual: np.ndarray) -> float:
    """`sum_k (q_k - p_k) ln(q_k / p_k)`, the symmetric Kullback-Leibler divergence of two histograms.

    `p` and `q` are the shares of the bins, each count raised by one half first, so that an empty bin counts as few
    rows and not as none. 0 for equal shares.

    Args:
        expected: `(K,)` counts of the reference, here the training split.
        actual: `(K,)` counts of the same bins.

    Returns:
        The index; NaN if either has no row at all.

    Reference:
        Jeffreys 1946 (the divergence); Siddiqi 2006, Credit Risk Scorecards (name and thresholds 0.1 and 0.25).
    """
    expected, actual = np.asarray(expected, np.float64), np.asarray(actual, np.float64)
    if expected.shape != actual.shape or expected.ndim != 1:
        raise ValueError(
            "population_stability_index: `actual` must have the bins of `expected`. "
            f"Received: shapes {actual.shape} and {expected.shape}. Count both over the same bins."
        )
    if not expected.sum() or not actual.sum():
        return float("nan")
    p = (expected + _PRIOR) / np.sum(expected + _PRIOR)
    q = (actual + _PRIOR) / np.sum(actual + _PRIOR)
    return float(np.sum((q - p) * np.log(q / p)))


def chance_level(expected: np.ndarray, actual: np.ndarray) -> float:
    """The mean of the index if nothing drifts: `(K - 1) (1 / N + 1 / M)` for bins that have rows.

    `N` and `M` are the rows of both; from the chi-square approximation of the divergence.
    """
    bins = int(np.count_nonzero(np.asarray(expected) + np.asarray(actual)))
    return float((bins - 1) * (1.0 / max(np.sum(expected), 1) + 1.0 / max(np.sum(actual), 1)))


def chance_limit(expected: np.ndarray, actual: np.ndarray) -> float:
    """The value that the index exceeds about once in a thousand times if nothing drifts: mean plus three deviations."""
    bins = int(np.count_nonzero(np.asarray(expected) + np.asarray(actual)))
    return chance_level(expected, actual) * (1.0 + 3.0 * math.sqrt(2.0 / max(bins - 1, 1)))


def top_ids(counts: np.ndarray) -> np.ndarray:
    """The 30 most frequent ids, missing and out of vocabulary aside, the most frequent first."""
    return np.argsort(-counts[2:], kind="stable")[:_TOP_VALUES] + 2


def id_bins(counts: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Counts of ids as: missing, out of vocabulary, each of `ids`, all others."""
    chosen = counts[np.concatenate([[0, 1], ids]).astype(np.int64)]
    return np.append(chosen, counts.sum() - chosen.sum())


def top_bins(expected: np.ndarray, actual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts of ids as: missing, out of vocabulary, the 30 most frequent values of `expected`, all others."""
    ids = top_ids(expected)
    return id_bins(expected, ids), id_bins(actual, ids)


def decile_edges(values: np.ndarray) -> np.ndarray:
    """The inner edges of ten equally frequent bins; fewer where values are equal, none without values."""
    values = values[~np.isnan(values)]
    return np.unique(np.quantile(values, np.linspace(0.1, 0.9, 9))) if len(values) else np.empty(0)


def number_bins(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Counts of numbers between the edges; NaN counts nowhere."""
    return np.bincount(np.searchsorted(edges, values[~np.isnan(values)], side="right"), minlength=len(edges) + 1)


def decile_bins(expected: np.ndarray, actual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts of numbers in the ten equally frequent bins of `expected`; NaN counts nowhere."""
    edges = decile_edges(expected)
    return number_bins(expected, edges), number_bins(actual, edges)


def length_bins(counts: np.ndarray) -> np.ndarray:
    """Counts of lengths 0, 1, 2, ... as counts of 0, 1, 2, 3-4, 5-8, 9-16, ...: bins of a doubling width."""
    lengths = np.arange(len(counts))
    bins = np.where(lengths > 0, np.ceil(np.log2(np.maximum(lengths, 1))) + 1, 0).astype(int)
    return np.bincount(bins, counts, int(bins.max()) + 1)


def length_names(most: int) -> list[str]:
    """The names of the bins of `length_bins` for lengths up to `most`."""
    names = ["0", "1", "2"]
    low = 3
    while low <= most:
        high = min(2 * (low - 1), most)
        names.append(f"{low}-{high}" if high > low else str(low))
        low = 2 * (low - 1) + 1
    return names[: most + 1] if most < 2 else names
