"""Rules that new problems are held to, and stored ones are not: they came later."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tfmtl.schema import (
    BinaryTask,
    CategoricalFeature,
    Keys,
    LabelWindow,
    Problem,
    ProblemError,
    RegressionTask,
    SequenceFeature,
    Split,
)
from tfmtl.schema.problem_checks import check_histories, check_meaningful_parents, check_new_problem


def test_a_history_of_a_label_that_comes_later(tmp_path: Path) -> None:
    def problem(**task: Any) -> Problem:
        features = (CategoricalFeature("item"),)
        sequences = (SequenceFeature("past", ("item",), when="kind == 'a' or not buy == 0"),)
        return Problem("p", features, (BinaryTask("b", label="buy", **task),), Keys("u", "t"), sequences)

    check_histories(problem(known_at_event=True))
    with pytest.raises(ProblemError, match="condition of sequence 'past' reads column 'buy', the label of task 'b'"):
        check_histories(problem())
    with pytest.raises(ProblemError, match="the label of task 'b'"):
        check_new_problem(problem())
    problem().save(tmp_path / "problem.yaml")
    stored = Problem.load(tmp_path / "problem.yaml")
    assert stored == problem() and (stored.is_stored, problem().is_stored) == (True, False)
    check_new_problem(stored)
    check_new_problem(replace(stored, split=Split(by="row")))
    with pytest.raises(ProblemError, match="`known_at_event` must be false with `label_window`"):
        BinaryTask("late", label_window=LabelWindow("buy == 1", hours=1.0), known_at_event=True)


def test_a_parent_that_means_nothing() -> None:
    tasks = (BinaryTask("click"), RegressionTask("watch", parent="click"))
    problem = Problem("p", (CategoricalFeature("item"),), tasks, Keys("u", "t"))
    with pytest.raises(ProblemError, match=r"task 'watch' must not have a `parent`, .* such as \"click == 1\""):
        check_meaningful_parents(problem)
    with pytest.raises(ProblemError, match="must not have a `parent`"):
        check_new_problem(problem)
    check_meaningful_parents(
        Problem("p", problem.features, (tasks[0], BinaryTask("buy", parent="click")), problem.keys)
    )
