"""Names of the canonical columns that flow between the stages.

A canonical batch has the parsed feature columns under their own names and,
with a colon so that they never collide, what was derived from others.
"""

from tfmtl.schema import Problem

FILE = "row:file"
ROW = "row:number"
SPLIT = "row:split"  # index into tfmtl.schema.SPLITS
IS_EXAMPLE = "row:example"
USER = "key:user"
TIME = "key:time"
GROUP = "key:group"


def label(task: str) -> str:
    """Column with the task's parsed label, float32, null where missing."""
    return f"label:{task}"


def event(sequence: str) -> str:
    """Column that says whether the row is an event of the sequence."""
    return f"event:{sequence}"


def raw_columns(problem: Problem) -> tuple[str, ...]:
    """Every column the log must have, in order of first use."""
    keys = problem.keys
    names = [column for column in (keys.user, keys.time, problem.group_column, problem.split.column) if column]
    names += [feature.name for feature in problem.features]
    names += [task.label_column for task in problem.tasks]
    conditions = [problem.examples_condition]
    conditions += [sequence.condition for sequence in problem.sequences]
    conditions += [task.condition for task in problem.tasks]
    names += [column for condition in conditions if condition for column in condition.columns]
    return tuple(dict.fromkeys(names))
