"""Trees of tasks: what is refused, and the groups by depth."""

import re

import pytest

from tfmtl.core.parents import check_parents, parent_pairs, tasks_by_depth


@pytest.mark.parametrize("parents", [(None,), (None, 0, 1), [1, None], (None, None), (2, 2, None, 1)])
def test_trees_are_taken(parents) -> None:
    check_parents("Layer", parents)


@pytest.mark.parametrize("parents", ["01", 3, None, {0: None}, (None, "0"), (None, True), (None, 0.0)])
def test_other_types_are_refused(parents: object) -> None:
    rule = "Layer: `parents` must be a non-empty sequence of task indices or None. Received: parents="
    with pytest.raises(TypeError, match=re.escape(rule)):
        check_parents("Layer", parents)


@pytest.mark.parametrize(
    ("parents", "text"),
    [
        ((), "`parents` must be a non-empty sequence of task indices or None. Received: parents=()."),
        ((None, 2), "`parents` must name tasks from 0 to 1. Received: parents=(None, 2)."),
        ((None, -1), "`parents` must name tasks from 0 to 1. Received: parents=(None, -1)."),
        ((None, 1), "`parents` must form no cycle. Received: parents=(None, 1). Cut it: 1 -> 1."),
        ((1, 2, 0), "`parents` must form no cycle. Received: parents=(1, 2, 0). Cut it: 0 -> 1 -> 2 -> 0."),
        ((1, 2, 1, None), "`parents` must form no cycle. Received: parents=(1, 2, 1, None). Cut it: 0 -> 1 -> 2 -> 1."),
    ],
)
def test_what_is_no_tree_is_refused(parents, text: str) -> None:
    with pytest.raises(ValueError, match=f"^Layer: {re.escape(text)}"):
        check_parents("Layer", parents)


@pytest.mark.parametrize(
    ("parents", "levels", "pairs"),
    [
        ((None, 0, 1), [[0], [1], [2]], [(1, 0), (2, 1)]),
        ((None, None), [[0, 1]], []),
        ((2, None, 1, 1, None), [[1, 4], [2, 3], [0]], [(0, 2), (2, 1), (3, 1)]),
    ],
)
def test_groups_and_pairs(parents, levels, pairs) -> None:
    assert tasks_by_depth(parents) == levels
    assert parent_pairs(parents) == pairs
