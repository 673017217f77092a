"""Check that there are training examples, and both classes of every binary label."""

from collections.abc import Mapping, Sequence
from typing import Any

from tfmtl.preprocessing.reading.noticed import noticed_columns
from tfmtl.preprocessing.reading.read import InputError
from tfmtl.preprocessing.reading.rejected_rows import worst_rejection
from tfmtl.schema import Problem, TaskRecord

Counts = Mapping[str, int]

_MOST_SHOWN = 5
_NO_EXAMPLE = "preprocess: no training example is left"


def is_about_rows(error: InputError) -> bool:
    """Whether an error of the job is one of this file's: all was read, and the rejected rows say what was wrong."""
    return str(error).startswith((_NO_EXAMPLE, "preprocess: task '"))


def check_examples(manifest: Mapping[str, Any], directory: str) -> None:
    """Raises `InputError` where no training example is left, with the most frequent reason and one of its values."""
    if manifest["splits"]["train"]["examples"]:
        return
    rejected = manifest["rows_rejected"]
    worst = max(rejected, key=lambda reason: rejected[reason], default=None)
    why = f" Most were rejected because: {worst_rejection(directory, worst)} ({rejected[worst]} rows)." if worst else ""
    raise InputError(
        f"{_NO_EXAMPLE} of {manifest['rows_in']} rows. Rejected: {rejected}.{why} Check the "
        "split and the rejected rows' reasons."
    )


def one_class_tasks(
    problem: Problem, manifest: Mapping[str, Any], read_counts: Sequence[Mapping[str, int]], directory: str
) -> list[str]:
    """One sentence for every binary task whose training labels are all 0 or all 1.

    Args:
        problem: `Problem`.
        manifest: what was written and counted.
        read_counts: counters of the batches that were read.
        directory: of the output, where the rejected rows lie.
    """
    found = []
    for task in problem.tasks:
        facts = manifest["splits"]["train"]["tasks"][task.name]
        if not task.can_be_parent or not facts["labels"] or 0.0 < facts["mean"] < 1.0:
            continue
        only = int(facts["mean"])
        sentence = f"task '{task.name}' has one class in the training split: all {facts['labels']} labels are {only}."
        found.append(f"{sentence} {_seen(task, manifest, read_counts, directory)}")
    return found


def _seen(
    task: TaskRecord, manifest: Mapping[str, Any], read_counts: Sequence[Mapping[str, int]], directory: str
) -> str:
    if task.late_window is not None:
        return f'No event "{task.late_window.when}" ends a window, or every window has one.'
    positive = getattr(task, "positive", None)  # other kinds of yes/no labels need not be text
    if positive is not None:
        texts = noticed_columns(read_counts, f"label_text/{task.name}")
        values = sorted(texts, key=lambda text: -texts[text])[:_MOST_SHOWN]
        return f"Column '{task.label_column}' holds {values}, and `positive` is {positive!r}."
    reason = f"label '{task.label_column}' is neither 0 nor 1"
    count = manifest["rows_rejected"].get(reason)
    if count:
        return (
            f"{count} rows were rejected as their label is neither 0 nor 1, such as: "
            f"{worst_rejection(directory, reason)}. Write 0 and 1, or name the value that is 1 with `positive`."
        )
    return f"Check column '{task.label_column}', `sample_space` and the split."
