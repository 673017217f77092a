"""Count values in one pass; all fitted facts of the transformation follow from the counts.

Every column is reduced to tables of counts by the behavior of its feature's kind.
Counts add up exactly in any order, so the result does not depend on how rows
were spread over workers.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.features import FeatureBehavior, behavior_of
from tfmtl.features.feature_behavior import Column, FeatureState, LabeledRows
from tfmtl.features.number_counts import merge_number_counts
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.fitting.folds import times_or_folds
from tfmtl.preprocessing.fitting.label_counts import LabelFacts, count_labels
from tfmtl.schema import SPLITS, Problem

LABEL = "label"  # beside what features count: a label, and the task's name


def count_values(problem: Problem, batch: pa.RecordBatch, is_extending: bool = False) -> list[tuple[Column, pa.Table]]:
    """`((what, name), table of counts)` of the training rows of a batch.

    Args:
        problem: `Problem`.
        batch: canonical rows with their split.
        is_extending: bool. Whether only what is added to is counted, of another day's log. Defaults to `False`.
    """
    batch = batch.filter(pc.equal(batch.column(columns.SPLIT), SPLITS.index("train")))
    counted: list[tuple[Column, pa.Table]] = []
    for feature in problem.features:
        counted += _count(behavior_of(feature, problem), batch, is_extending)
    examples = batch.filter(batch.column(columns.IS_EXAMPLE))
    for sequence in problem.sequences:
        if sequence.source == "row":  # once an example that reads it
            for column in sequence.columns:
                feature = problem.feature(column)
                [given] = feature.inputs()
                items = pc.list_flatten(examples.column(sequence.column_key(given.key)))
                events = pa.RecordBatch.from_arrays([items], names=[given.key])
                counted += _count(behavior_of(feature, problem), events, is_extending)
    labeled = _labeled(problem, examples)
    for feature in problem.features:
        if feature.reads_labels:
            counted += behavior_of(feature, problem).count_labeled(labeled).items()
    if is_extending:
        return counted
    for task in problem.tasks:
        if task in problem.late_tasks:  # their labels are known where a user's rows have met
            continue
        counted.append(((LABEL, task.name), count_labels(task, examples)))
    return counted


def _labeled(problem: Problem, examples: pa.RecordBatch) -> LabeledRows:
    labels = {task.name: examples.column(columns.label(task.name)) for task in problem.tasks if not task.late_window}
    return LabeledRows(examples, labels, lambda: times_or_folds(problem, examples))


def _count(behavior: FeatureBehavior, rows: pa.RecordBatch, is_extending: bool) -> list[tuple[Column, pa.Table]]:
    if is_extending and not behavior.extends:
        return []
    return [pair for pair in behavior.count(rows).items() if pair[0][0] in behavior.extends or not is_extending]


def merge_counts(tables: Iterable[pa.Table]) -> pa.Table:
    """One table with the counts of equal keys added up: columns `count` and `sum_*` are added, all others the key."""
    tables = list(tables)
    if "bits" in tables[0].column_names:
        return merge_number_counts(tables)
    merged = pa.concat_tables(tables)
    sums = [name for name in merged.column_names if name == "count" or name.startswith("sum_")]
    keys = [name for name in merged.column_names if name not in sums]
    # One thread: others would take part in what other processes have to do, and of small tables they cost more than it.
    grouped = merged.group_by(keys, use_threads=False)
    return grouped.aggregate([(name, "sum") for name in sums]).rename_columns([*keys, *sums])


def build_statistics(problem: Problem, counts: Mapping[Column, pa.Table]) -> TransformStatistics:
    """Everything fitted, from merged counts; a column without values is allowed."""
    labels = {task.name: LabelFacts(task, counts.get((LABEL, task.name))) for task in problem.tasks}
    return TransformStatistics(
        **joined_states(behavior.fit(counts) for behavior in fitting(problem)),
        label_means={name: facts.moments[0] for name, facts in labels.items()},
        label_deviations={name: facts.moments[1] for name, facts in labels.items()},
        task_state={name: facts.state for name, facts in labels.items() if facts.state},
    )


def fitting(problem: Problem) -> Iterator[FeatureBehavior]:
    """The behaviors that fit something; of features that share a table only the first one."""
    first = {features[0].name for features in problem.tables.values()}
    for feature in problem.features:
        tables = [tensor for tensor in feature.tensors(problem) if tensor.table is not None]
        if not tables or feature.name in first:
            yield behavior_of(feature, problem)


def joined_states(states: Iterable[FeatureState]) -> dict[str, Any]:
    """Part -> all that the states say of it, as the arguments of `TransformStatistics`."""
    found = list(states)
    parts = {
        each.name: {name: value for state in found for name, value in getattr(state, each.name).items()}
        for each in fields(FeatureState)
        if each.name != "notes"
    }
    return {**parts, "notes": tuple(note for state in found for note in state.notes)}
