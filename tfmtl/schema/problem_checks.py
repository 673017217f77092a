"""Checks across the parts of a problem."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tfmtl.schema.checks import check_argument, check_missing, check_name, did_you_mean
from tfmtl.schema.condition import Condition
from tfmtl.schema.features.fixed_scales import MATCH_NUMBERS
from tfmtl.schema.problem_error import ProblemError

if TYPE_CHECKING:
    from tfmtl.schema.problem import Problem
    from tfmtl.schema.sequence_feature import SequenceFeature


def check_problem(problem: Problem) -> None:
    """Raises `ProblemError` at the first rule that `problem` breaks."""
    check_name("Problem", "name", problem.name)
    check_missing("Problem", problem.missing)
    if not problem.features:
        raise ProblemError("Problem: `features` must name at least one feature. Received: none.")
    if not problem.tasks:
        raise ProblemError("Problem: `tasks` must name at least one task. Received: none.")
    for feature in problem.features:
        check_argument(f"Feature '{feature.name}'", "name", feature.name)
    if problem.keys.time is not None:
        check_argument("Keys", "time", problem.keys.time, "Rename the column in the log.")
    _check_unique("feature", [feature.name for feature in problem.features])
    _check_unique("task", [task.name for task in problem.tasks])
    _check_unique("sequence", [sequence.name for sequence in problem.sequences])
    if problem.examples is not None:
        try:
            Condition(problem.examples)
        except ProblemError as error:
            raise ProblemError(f"Problem: `examples`: {error}") from error
    _check_labels(problem)
    _check_parents(problem)
    _check_label_windows(problem)
    _check_sequences(problem)
    for feature in problem.features:
        feature.check(problem)
    _check_keys(problem)
    _check_split(problem)
    for task in problem.tasks:
        task.check(problem)


def _check_unique(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ProblemError(f"Problem: {what} name '{name}' is used twice. Rename one of them.")
        seen.add(name)


def _check_labels(problem: Problem) -> None:
    features = {column for feature in problem.features for column in feature.columns}
    for task in problem.tasks:
        for column in task.label_columns:
            if column in features and column != task.weight_column:  # what a row counts may well be known of a request
                raise ProblemError(
                    f"Problem: column '{column}' is the label of task '{task.name}' and also a feature. "
                    "A model that reads its label learns nothing: remove the feature."
                )
    if problem.keys.time is not None and problem.keys.time in features:
        raise ProblemError(
            f"Problem: the time column '{problem.keys.time}' must not be a feature: later times never occur in "
            "training. Derive a column such as the hour of the day."
        )


def _check_parents(problem: Problem) -> None:
    tasks = {task.name: task for task in problem.tasks}
    for task in problem.tasks:
        if task.parent is None:
            continue
        if task.parent not in tasks:
            raise ProblemError(
                f"Problem: task '{task.name}' names parent '{task.parent}', which is not a task. "
                f"Known tasks: {sorted(tasks)}.{did_you_mean(task.parent, tasks)}"
            )
        if not tasks[task.parent].can_be_parent:
            raise ProblemError(
                f"Problem: task '{task.name}' names parent '{task.parent}', which is not binary. "
                "Only a yes/no event can be a precondition."
            )
    for task in problem.tasks:
        path = [task.name]
        while (parent := tasks[path[-1]].parent) is not None:
            if parent in path:
                cycle = " -> ".join([*path, parent])
                raise ProblemError(f"Problem: the parents of task '{task.name}' form a cycle: {cycle}. Cut it.")
            path.append(parent)


def _check_label_windows(problem: Problem) -> None:
    tasks = {task.name: task for task in problem.tasks}
    for task in problem.tasks:
        if task.late_window is None:
            parent = tasks.get(task.parent or "")
            if task.can_be_parent and parent is not None and parent.late_window is not None:
                raise ProblemError(
                    f"Problem: task '{task.name}' reads its label from column '{task.label_column}' and must not have "
                    f"the parent '{parent.name}', whose label is known only later. Give it a `label_window`, too."
                )
            continue
        if problem.keys.user is None or problem.keys.time is None:
            raise ProblemError(
                f"Problem: the label_window of task '{task.name}' needs `keys.user` and `keys.time`. "
                f"Received: user={problem.keys.user!r}, time={problem.keys.time!r}."
            )
        if task.late_window.ticks(problem.keys.ticks_per_second) < 1:
            raise ProblemError(
                f"Problem: the label_window of task '{task.name}' must be at least one step of the time column. "
                f"Received: hours={task.late_window.hours!r}, time_unit={problem.keys.time_unit!r}."
            )
        same = task.late_window.same
        if same in _multi_valued(problem):
            raise ProblemError(
                f"Problem: the label_window of task '{task.name}' names column '{same}' in `same`, which is "
                "multi-valued. Name a column with one value per row."
            )


def _multi_valued(problem: Problem) -> set[str]:
    lists = (feature for feature in problem.features if any(each.is_list for each in feature.inputs()))
    return {column for feature in lists for column in feature.columns}


def _check_sequences(problem: Problem) -> None:
    features = {feature.name: feature for feature in problem.features}
    for sequence in problem.sequences:
        _check_source(problem, sequence)
        for column in sequence.columns:
            if column in ("time", "gap"):
                raise ProblemError(
                    f"Problem: sequence '{sequence.name}' must not have a column '{column}': the tensor "
                    f"'{sequence.column_key(column)}' is the events' time. Rename the column."
                )
            feature = features.get(column)
            if feature is None:
                raise ProblemError(
                    f"Problem: sequence '{sequence.name}' names column '{column}', which is not a feature. "
                    f"Known features: {sorted(features)}.{did_you_mean(column, features)}"
                )
            if feature.not_in_events is not None:
                raise ProblemError(
                    f"Problem: sequence '{sequence.name}' names column '{column}', {feature.not_in_events}."
                )
        first = features[sequence.columns[0]]
        if [each.key for each in first.tensors(problem) if each.role == "id"] != [first.name]:
            raise ProblemError(
                f"Problem: the first column of sequence '{sequence.name}' must have one id per event, since without it "
                f"there is no event. Received: '{first.name}', a list or a scaled number. Begin with a name or a "
                "bucket."
            )


def _check_source(problem: Problem, sequence: SequenceFeature) -> None:
    """The keys that its events need, and that no list tells what is asked."""
    keys = problem.keys
    if sequence.source == "log" and (keys.user is None or keys.time is None):
        raise ProblemError(
            f"Problem: sequence '{sequence.name}' needs `keys.user` and `keys.time`. "
            f"Received: user={keys.user!r}, time={keys.time!r}."
        )
    if sequence.times is not None and keys.time is None:
        raise ProblemError(
            f"Problem: sequence '{sequence.name}' has `times` and needs `keys.time`, before which its events lie. "
            f"Received: times={sequence.times!r}, time=None."
        )
    labels = {column: task.name for task in problem.tasks for column in task.label_columns}
    for column in sequence.list_columns:
        if column in labels:
            raise ProblemError(
                f"Problem: column '{column}' is the label of task '{labels[column]}' and also a list of sequence "
                f"'{sequence.name}'. Name the list that was known when the request was served."
            )


def _check_keys(problem: Problem) -> None:
    """No two tensors of a request, and no two of the model, may have one name."""
    _check_unique("request tensor", [each.key for each in problem.inputs])
    _check_unique("encoded tensor", [each.key for each in problem.tensors])
    owners = {
        (field, "" if field == MATCH_NUMBERS == each.joins else feature.name)  # which all matches share
        for feature in problem.features
        for each in feature.tensors(problem)
        for field in {each.field, each.joins or each.field}
    }
    _check_unique("field", sorted(field for field, _ in owners))


def _check_split(problem: Problem) -> None:
    split, keys = problem.split, problem.keys
    if split.by == "time" and keys.time is None:
        raise ProblemError(
            "Problem: a split by time needs `keys.time`. Received: time=None. Use by: user, row or column."
        )
    if split.by == "user" and keys.user is None:
        raise ProblemError("Problem: a split by user needs `keys.user`. Received: user=None. Use by: row or column.")
    if split.column is not None and split.column in {
        column for feature in problem.features for column in feature.columns
    }:
        raise ProblemError(f"Problem: the split's column '{split.column}' must not be a feature. Remove the feature.")


def check_new_problem(problem: Problem) -> None:
    """Raises `ProblemError` where a problem breaks a rule that is younger than some stored ones.

    Problem files of users and problems made in Python are held to it; a problem that is stored beside data and models
    (`Problem.is_stored`) passes.
    """
    if not problem.is_stored:
        check_histories(problem)
        check_meaningful_parents(problem)


def check_histories(problem: Problem) -> None:
    """Raises `ProblemError` where the condition of a history reads a label that is not known at its event's time.

    Such a history would hold the future of the examples between the event and its label. For new
    problems alone, see `check_new_problem`.
    """
    labels = {task.label_column: task for task in problem.tasks if not task.known_at_event and task.label_column}
    for sequence in problem.sequences:
        for column in sequence.condition.columns if sequence.condition else ():
            if column in labels:
                task = labels[column]
                raise ProblemError(
                    f"Problem: the condition of sequence '{sequence.name}' reads column '{column}', the label of task "
                    f"'{task.name}': if it is decided after its row's event, the sequence shows examples their "
                    "own future. If it is known at the event's time, as a click is, write `known_at_event: true` "
                    "into the task (in Python `known_at_event=True`); otherwise remove the sequence or its condition."
                )


def check_meaningful_parents(problem: Problem) -> None:
    """Raises `ProblemError` where a task has a parent that changes nothing: only a yes/no event has a precondition.

    For new problems alone, see `check_new_problem`.
    """
    for task in problem.tasks:
        if task.parent is not None and not task.can_be_parent:
            raise ProblemError(
                f"Problem: task '{task.name}' must not have a `parent`, which means nothing for kind {task.kind!r}. "
                f"Received: parent={task.parent!r}. Write the condition under which a row counts into `sample_space`, "
                f'such as "{task.parent} == 1".'
            )
