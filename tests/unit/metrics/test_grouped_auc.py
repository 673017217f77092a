"""grouped_auc against a loop over groups, and its properties."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from tfmtl.metrics import GroupedAUC, grouped_auc, roc_auc

checked = settings(deadline=None, derandomize=True, max_examples=60)


def slow_grouped_auc(labels, scores, groups) -> GroupedAUC:
    """One group after the other, with scikit-learn."""
    aucs, sizes, skipped = [], [], []
    for group in set(groups):
        mine = [i for i in range(len(labels)) if groups[i] == group and not math.isnan(labels[i])]
        known = [labels[i] for i in mine]
        if len(set(known)) == 2:
            aucs.append(roc_auc_score(known, [scores[i] for i in mine]))
            sizes.append(len(mine))
        elif mine:
            skipped.append(len(mine))
    total = sum(sizes)
    return GroupedAUC(
        value=sum(a * n for a, n in zip(aucs, sizes, strict=True)) / total if aucs else math.nan,
        macro=sum(aucs) / len(aucs) if aucs else math.nan,
        num_groups=len(aucs),
        num_examples=total,
        num_skipped_one_class=len(skipped),
        num_skipped_examples=sum(skipped),
    )


def assert_same(actual: GroupedAUC, expected: GroupedAUC) -> None:
    assert actual.value == pytest.approx(expected.value, abs=1e-12, nan_ok=True)
    assert actual.macro == pytest.approx(expected.macro, abs=1e-12, nan_ok=True)
    counts = ("num_groups", "num_examples", "num_skipped_one_class", "num_skipped_examples")
    assert [getattr(actual, name) for name in counts] == [getattr(expected, name) for name in counts]


row = st.tuples(
    st.sampled_from([0.0, 0.0, 1.0, 1.0, math.nan]), st.integers(0, 4), st.sampled_from(["ann", "bob", "cy", "dee"])
)
some_rows = st.lists(row, max_size=40).map(lambda rows: tuple(map(list, zip(*rows, strict=True))) or ([], [], []))


@checked
@given(some_rows)
def test_equals_a_loop_over_groups(data) -> None:
    assert_same(grouped_auc(*data), slow_grouped_auc(*data))


def test_equals_a_loop_over_many_groups() -> None:
    generator = np.random.default_rng(0)
    labels = (generator.random(3000) < 0.2).astype(float)
    labels[generator.random(3000) < 0.1] = np.nan
    scores = (generator.random(3000) + 0.2 * np.nan_to_num(labels)).round(1)
    groups = generator.zipf(1.5, 3000) % 500
    expected = slow_grouped_auc(labels, scores, groups)
    assert expected.num_groups > 50
    assert expected.num_skipped_one_class > 50
    assert abs(expected.value - expected.macro) > 1e-3
    assert_same(grouped_auc(labels, scores, groups), expected)


@checked
@given(some_rows, st.randoms(use_true_random=False))
def test_order_of_rows_changes_nothing(data, random) -> None:
    order = list(range(len(data[0])))
    random.shuffle(order)
    assert_same(grouped_auc(*([column[i] for i in order] for column in data)), grouped_auc(*data))


@checked
@given(some_rows)
def test_a_monotone_map_of_each_group_of_its_own_changes_nothing(data) -> None:
    labels, scores, groups = data
    moved = [{"ann": 1, "bob": 100, "cy": 0.01, "dee": 3}[g] * s + len(g) for g, s in zip(groups, scores, strict=True)]
    assert_same(grouped_auc(labels, moved, groups), grouped_auc(*data))


@checked
@given(some_rows)
def test_one_group_is_the_plain_auc(data) -> None:
    labels, scores, _ = data
    result = grouped_auc(labels, scores, ["all"] * len(labels))
    assert result.value == pytest.approx(roc_auc(labels, scores), abs=1e-12, nan_ok=True)
    assert result.macro == pytest.approx(roc_auc(labels, scores), abs=1e-12, nan_ok=True)


@checked
@given(some_rows, some_rows)
def test_disjoint_parts_merge_by_their_counts(first, second) -> None:
    labels, scores, groups = second
    second = (labels, scores, [f"{group}'s sister" for group in groups])
    parts = [grouped_auc(*first), grouped_auc(*second)]
    whole = grouped_auc(*(a + b for a, b in zip(first, second, strict=True)))
    assert whole.num_examples == sum(part.num_examples for part in parts)
    assert whole.num_skipped_examples == sum(part.num_skipped_examples for part in parts)
    if whole.num_groups:
        total = sum(part.value * part.num_examples for part in parts if part.num_groups)
        assert whole.value == pytest.approx(total / whole.num_examples, abs=1e-12)


@checked
@given(some_rows)
def test_missing_labels_are_absent_rows(data) -> None:
    kept = [row for row in zip(*data, strict=True) if not math.isnan(row[0])]
    assert_same(grouped_auc(*data), grouped_auc(*([row[i] for row in kept] for i in range(3))))


@pytest.mark.parametrize(
    "groups",
    [
        ["u1", "u1", "u0", "u0", "u2"],
        [b"u1", b"u1", b"u0", b"u0", b"u2"],
        [-7, -7, 2**40, 2**40, 0],
        np.array([1, 1, 0, 0, 2], dtype=np.uint8),
        np.array(["u1", "u1", "u0", "u0", "u2"], dtype=object),
        np.array([2**70, 2**70, 0, 0, 1], dtype=object),
    ],
    ids=["str", "bytes", "int", "uint8", "object str", "object int"],
)
def test_any_kind_of_group(groups) -> None:
    result = grouped_auc([1, 0, 0, 1, 1], [0.9, 0.1, 0.8, 0.2, 0.5], groups)
    assert result == GroupedAUC(0.5, 0.5, 2, 4, 1, 1)


def test_larger_groups_weigh_more() -> None:
    result = grouped_auc([1, 0, 0, 1, 0, 0], [2, 1, 2, 1, 2, 2], [0, 0, 1, 1, 1, 1])
    assert (result.value, result.macro) == (pytest.approx(1 / 3), 0.5)


def test_no_group_with_both_classes_is_undefined() -> None:
    result = grouped_auc([1, 1, 0, math.nan], [1, 2, 3, 4], [0, 0, 1, 2])
    assert math.isnan(result.value)
    assert math.isnan(result.macro)
    assert (result.num_groups, result.num_skipped_one_class, result.num_skipped_examples) == (0, 2, 3)


@pytest.mark.parametrize(
    ("groups", "error", "text"),
    [
        (
            [1.0, 2.0],
            TypeError,
            "grouped_auc: `groups` must hold str, bytes or integers. Received: groups=1.0 (float). Drop rows",
        ),
        (np.array(["a", None], dtype=object), TypeError, "Received: groups=None (NoneType)."),
        (["a"], ValueError, "`groups` must have as many rows as `labels`. Received: len(groups)=1, len(labels)=2."),
        ([["a"], ["b"]], ValueError, "`groups.shape` must be (N,). Received: groups.shape=(2, 1)."),
    ],
)
def test_errors(groups, error, text) -> None:
    with pytest.raises(error) as caught:
        grouped_auc([0, 1], [0.1, 0.2], groups)
    assert text in str(caught.value)
