"""Exact AUC inside each group (user, session, query), averaged over the groups."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfmtl.metrics._labeled_rows import binary_rows, check_length, check_one_dimensional


@dataclass(frozen=True)
class GroupedAUC:
    """AUC averaged over groups, and what the average leaves out.

    A group without a positive or without a negative has no AUC and is skipped. Rows without a label belong to no
    group, so a group of such rows alone is counted nowhere.

    Attributes:
        value: Mean of the groups' AUCs, each weighted by its number of examples. NaN where every group is skipped.
        macro: Mean of the groups' AUCs, each of weight one. NaN where every group is skipped.
        num_groups: Groups which hold both classes: the ones averaged.
        num_examples: Labeled rows in those groups.
        num_skipped_one_class: Groups which hold one class alone.
        num_skipped_examples: Labeled rows in those groups.
    """

    value: float
    macro: float
    num_groups: int
    num_examples: int
    num_skipped_one_class: int
    num_skipped_examples: int


def grouped_auc(
    labels: ArrayLike, scores: ArrayLike, groups: ArrayLike, weights: ArrayLike | None = None
) -> GroupedAUC:
    """Returns the AUC among the rows of one group, averaged over groups: does the model rank well for a user?

    AUC over all rows also rewards telling active users from inactive ones, which no ranking within a user's
    candidates can use. Ties count one half. Exact, one sort, no Python loop over groups.

    Shapes: N rows.

    Args:
        labels: `(N,)`, 0, 1 or NaN. A row whose label is NaN (missing) is dropped.
        scores: `(N,)`. Anything increasing with the belief in a positive.
        groups: `(N,)` of str, bytes or integers. Rows of equal value form a group, wherever they stand.
        weights: `(N,)` or None. A row of weight w counts as w rows. Defaults to `None`, every row counts once.

    Returns:
        A `GroupedAUC`.

    Raises:
        TypeError: a column does not hold what it should.
        ValueError: a column is not `(N,)`, a label is not 0, 1 or NaN, or a labeled row's score is NaN.

    Example:

    >>> grouped_auc([1, 0, 1, 0, 1], [0.2, 0.1, 0.8, 0.9, 0.5], ["ann", "ann", "bob", "bob", "cy"]).value
    0.5

    Reference:
        Zhou et al. 2018 (Deep Interest Network), https://arxiv.org/abs/1706.06978: the impression-weighted AUC over
        users which its experiments report.
    """
    rows = binary_rows("grouped_auc", labels, "scores", scores, weights)
    group_column = np.asarray(groups)
    check_one_dimensional("grouped_auc", "groups", group_column.shape)
    check_length("grouped_auc", "groups", len(group_column), len(rows.present))
    row_groups = _as_integers(group_column[rows.present])

    order = np.lexsort((rows.predictions, row_groups))
    is_positive = rows.labels[order].astype(np.int64)
    counted = np.ones_like(is_positive) if rows.weights is None else rows.weights[order]
    tie = _starts_of_runs(row_groups[order], rows.predictions[order])
    positives = np.add.reduceat(counted * is_positive, tie)  # (ties,): rows of one group with one score
    negatives = np.add.reduceat(counted * (1 - is_positive), tie)

    group = _starts_of_runs(row_groups[order][tie])
    group_positives = np.add.reduceat(positives, group)  # (groups,)
    group_negatives = np.add.reduceat(negatives, group)
    negatives_before = np.cumsum(negatives) - negatives
    first_of_own_group = np.repeat(negatives_before[group], np.diff(np.append(group, len(tie))))
    negatives_below = negatives_before - first_of_own_group
    pairs_won = np.add.reduceat(positives * (negatives_below + negatives / 2), group)

    sizes = group_positives + group_negatives
    rows_a_group = np.diff(np.append(_starts_of_runs(row_groups[order]), len(order)))
    has_both = (group_positives > 0) & (group_negatives > 0)
    aucs = pairs_won[has_both] / (group_positives[has_both] * group_negatives[has_both])
    return GroupedAUC(
        value=float(np.average(aucs, weights=sizes[has_both])) if aucs.size else math.nan,
        macro=float(np.mean(aucs)) if aucs.size else math.nan,
        num_groups=int(aucs.size),
        num_examples=int(rows_a_group[has_both].sum()),
        num_skipped_one_class=int(np.sum(~has_both)),
        num_skipped_examples=int(rows_a_group[~has_both].sum()),
    )


def _as_integers(groups: NDArray[Any]) -> NDArray[Any]:
    """Integers which are equal where the groups are; any other type is numbered in order of appearance."""
    if np.issubdtype(groups.dtype, np.integer) or groups.dtype == np.bool_:
        return groups
    # Sorting strings, as np.unique does, takes two to eight times as long as this dict.
    numbers: dict[object, int] = {}
    integers = np.fromiter((numbers.setdefault(key, len(numbers)) for key in groups.tolist()), dtype=np.int64)
    for key in numbers:
        if not isinstance(key, (str, bytes, int)):
            raise TypeError(
                "grouped_auc: `groups` must hold str, bytes or integers. "
                f"Received: groups={key!r} ({type(key).__name__}). Drop rows without a group, or name their group."
            )
    return integers


def _starts_of_runs(*columns: NDArray[Any]) -> NDArray[np.intp]:
    """Where, in sorted columns, a row differs from the one before it; row 0 starts the first run."""
    starts = np.zeros(len(columns[0]), dtype=bool)
    starts[:1] = True
    for column in columns:
        starts[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(starts)
