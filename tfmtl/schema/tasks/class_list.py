"""Checks of a task's classes."""

from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.shown import shown


def check_classes(owner: str, classes: tuple[str, ...]) -> None:
    """Raises unless there are two classes or more, each with a name of its own."""
    if len(classes) < 2 or len(set(classes)) < len(classes) or "" in classes:
        raise ProblemError(
            f"{owner}: `classes` must list two different texts or more, none of them empty. Received: "
            f"classes={shown(list(classes))}. List what the label's column may hold."
        )
