"""Names of the canonical columns that flow between the stages.

A canonical batch has the parsed feature columns under their own names and,
with a colon so that they never collide, what was derived from others.
"""

from tfmtl.schema import CategoricalFeature, Problem

FILE = "row:file"
ROW = "row:number"
SPLIT = "row:split"  # index into tfmtl.schema.SPLITS
IS_EXAMPLE = "row:example"
USER = "key:user"
TIME = "key:time"
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
    features = {feature.column_name: feature for feature in problem.features if isinstance(feature, CategoricalFeature)}
    return features[name].name if name in features else f"match:{name}"


def number_columns(problem: Problem) -> set[str]:
    """Columns that are read as numbers only, so that it does not matter how a number is spelled."""
    numbers = {feature.column_name for feature in problem.features if not isinstance(feature, CategoricalFeature)}
    numbers |= {column for task in problem.tasks for column in task.number_columns}
    names = {feature.column_name for feature in problem.features if isinstance(feature, CategoricalFeature)}
    names |= {task.late_window.same for task in problem.late_tasks if task.late_window and task.late_window.same}
    return numbers - names - {problem.keys.user, problem.group_column, problem.split.column}


def raw_columns(problem: Problem) -> tuple[str, ...]:
    """Every column the log must have, in order of first use."""
    return tuple(column_uses(problem))


def column_uses(problem: Problem) -> dict[str, str]:
    """Every column the log must have -> the first place in the problem file that names it."""
    keys = problem.keys
    named = [(keys.user, "keys.user"), (keys.time, "keys.time"), (keys.group, "keys.group")]
    named += [(problem.split.column, "split.column")]
    named += [(feature.column_name, f"feature '{feature.name}'") for feature in problem.features]
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
