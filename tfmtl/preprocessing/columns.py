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
ORDER = "key:order"
GROUP = "key:group"


def label(key: str) -> str:
    """Column with a parsed label, or a part of one (`TaskRecord.label_keys`), float32, null where missing."""
    return f"label:{key}"


def event(sequence: str) -> str:
    """Column that says whether the row is an event of the sequence."""
    return f"event:{sequence}"


def later(task: str) -> str:
    """Column that says whether the row is an event that a late task's label waits for."""
    return f"later:{task}"


def still_open(task: str) -> str:
    """Column that says whether the window of a late task's label is still open."""
    return f"open:{task}"


def match(problem: Problem, name: str) -> str:
    """Column with the text in which example and later event must agree: the feature itself where it is read as text."""
    keys = {column: key for key, (column, dtype) in _read_as(problem).items() if dtype == "string"}
    return keys.get(name, f"match:{name}")


def number_columns(problem: Problem) -> set[str]:
    """Columns that are read as numbers only, so that it does not matter how a number is spelled."""
    read_as = _read_as(problem).values()
    numbers = {column for column, dtype in read_as if dtype != "string"}
    numbers |= {problem.keys.order} if problem.keys.order is not None else set()
    numbers |= {column for task in problem.tasks for column in task.number_columns}
    names = {column for column, dtype in read_as if dtype == "string"}
    names |= {task.late_window.same for task in problem.late_tasks if task.late_window and task.late_window.same}
    return numbers - names - {problem.keys.user, problem.group_column, problem.split.column}


def _read_as(problem: Problem) -> dict[str, tuple[str, str]]:
    """Canonical column of a feature -> the log's column, and the dtype in which its values are read."""
    return {
        given.key: (column, given.dtype)
        for feature in problem.features
        for given, column in zip(feature.inputs(), feature.columns, strict=False)
    }


def missing_texts(problem: Problem) -> dict[str, tuple[str, ...]]:
    """Column -> the texts that mean missing in it, for columns that have any."""
    own: dict[str, tuple[str, ...]] = {}
    for feature in problem.features:
        for column in feature.columns:
            own[column] = own.get(column, ()) + feature.missing
    texts = {column: tuple(dict.fromkeys(problem.missing + own.get(column, ()))) for column in column_uses(problem)}
    return {column: found for column, found in texts.items() if found}


def raw_columns(problem: Problem) -> tuple[str, ...]:
    """Every column the log must have, in order of first use."""
    return tuple(column_uses(problem))


def column_uses(problem: Problem) -> dict[str, str]:
    """Every column the log must have -> the first place in the problem file that names it."""
    keys = problem.keys
    named = [(keys.user, "keys.user"), (keys.time, "keys.time"), (keys.group, "keys.group")]
    named += [(keys.order, "keys.order")]
    named += [(problem.split.column, "split.column")]
    named += [(column, f"feature '{feature.name}'") for feature in problem.features for column in feature.columns]
    named += [(column, f"sequence '{each.name}'") for each in problem.sequences for column in each.list_columns]
    named += [(column, f"label of task '{task.name}'") for task in problem.tasks for column in task.label_columns]
    named += [(keys.weight, "keys.weight")]
    windows = [(task.late_window, f"label_window of task '{task.name}'") for task in problem.late_tasks]
    named += [(window.same, place) for window, place in windows if window]
    conditions = [(problem.examples_condition, "examples")]
    conditions += [(sequence.condition, f"condition of sequence '{sequence.name}'") for sequence in problem.sequences]
    conditions += [(task.condition, f"sample_space of task '{task.name}'") for task in problem.tasks]
    conditions += [(window.condition, place) for window, place in windows if window]
    named += [(column, place) for condition, place in conditions if condition for column in condition.columns]
    uses: dict[str, str] = {}
    for column, place in named:
        if column is not None:
            uses.setdefault(column, place)
    return uses
