"""The parents of tasks: for every task the index of its parent, or None."""

from collections.abc import Sequence

from tfmtl.schema.checks import error_text

_ADVICE = "Give every task the index of its parent, as in (None, 0, 1)."


def check_parents(owner: str, parents: object) -> None:
    """Raises unless `parents` holds, for every task, None or the index of another task, without a cycle."""
    rule = "be a non-empty sequence of task indices or None"
    if isinstance(parents, str) or not isinstance(parents, Sequence):
        raise TypeError(error_text(owner, "parents", rule, parents, _ADVICE))
    if any(isinstance(parent, bool) or not isinstance(parent, int | None) for parent in parents):
        raise TypeError(error_text(owner, "parents", rule, parents, _ADVICE))
    if not parents:
        raise ValueError(error_text(owner, "parents", rule, parents, _ADVICE))
    if any(parent is not None and not 0 <= parent < len(parents) for parent in parents):
        raise ValueError(error_text(owner, "parents", f"name tasks from 0 to {len(parents) - 1}", parents, _ADVICE))
    for task in range(len(parents)):
        path = _path(task, parents)
        if parents[path[-1]] is not None:
            cycle = " -> ".join(map(str, [*path, parents[path[-1]]]))
            raise ValueError(error_text(owner, "parents", "form no cycle", parents, f"Cut it: {cycle}."))


def tasks_by_depth(parents: Sequence[int | None]) -> list[list[int]]:
    """Groups the tasks by their number of ancestors: those without a parent first, each group in ascending order."""
    depths = [len(_path(task, parents)) - 1 for task in range(len(parents))]
    return [[task for task, own in enumerate(depths) if own == depth] for depth in range(max(depths) + 1)]


def parent_pairs(parents: Sequence[int | None]) -> list[tuple[int, int]]:
    """Returns (task, parent) of every task that has a parent, in ascending order of the tasks."""
    return [(task, parent) for task, parent in enumerate(parents) if parent is not None]


def _path(task: int, parents: Sequence[int | None]) -> list[int]:
    """Returns the task, its parent and so on; it ends before a task that it already holds."""
    path = [task]
    while (parent := parents[path[-1]]) is not None and parent not in path:
        path.append(parent)
    return path
