"""The registry of the kinds in problem files; the class of a kind is imported when it is first needed.

The record (what the problem file says) and the behavior (what is done about it) are two classes, since a client reads
records and must not load TensorFlow.
"""

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tfmtl.schema.checks import check_choice
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.shown import shown


@dataclass(frozen=True)
class Kind:
    """The places of the two classes of a kind, each as `"package.module:Class"`."""

    record: str
    behavior: str | None


class Registry:
    """The kinds of one part of a problem file.

    Args:
        what: str. What is registered, for error texts.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._kinds: dict[str, Kind] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The kinds known, in the order in which they were added."""
        return tuple(self._kinds)

    def add(self, kind: str, record: str, behavior: str | None = None) -> None:
        """Makes a kind known.

        Args:
            kind: str. The value of `kind:` in the problem file.
            record: str. The frozen dataclass, as `"package.module:Class"`.
            behavior: str or None. The class that acts on it, likewise. Defaults to `None`: there is none.

        Raises:
            ValueError: another pair of classes has this name already.
        """
        entry = Kind(record, behavior)
        if self._kinds.setdefault(kind, entry) != entry:
            raise ValueError(
                f"register_{self._what}: `kind` must be a new name. Received: kind={kind!r}, which is "
                f"{self._kinds[kind].record}. Take another one."
            )

    def record(self, kind: str, where: str) -> type[Any]:
        """The record's class; raises `ProblemError` with the kinds there are for an unknown one."""
        check_choice(where, "kind", kind, self._kinds)
        return _class(self._kinds[kind].record)

    def behavior(self, kind: str) -> type[Any]:
        """The behavior's class."""
        entry = self._kinds[kind]
        if entry.behavior is None:
            raise KeyError(f"Registry: the {self._what} kind '{kind}' has no behavior.")
        return _class(entry.behavior)


def _class(place: str) -> type[Any]:
    module, _, name = place.partition(":")
    found: type[Any] = getattr(importlib.import_module(module), name)
    return found


def load_plugins(modules: Iterable[str]) -> None:
    """Imports the modules that a problem file names, which register kinds of their own.

    Raises:
        ProblemError: a module is not installed.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise ProblemError(
                f"Problem: `plugins` must name installed modules. Received: {shown(module)}: {error}. Install the "
                "package that has it, on every worker and server, too."
            ) from error


FEATURES = Registry("feature")
TASKS = Registry("task")

for _kind in ("categorical", "numeric", "vector", "text", "series", "image", "history", "match", "time_part", "rate"):
    _name = _kind.title().replace("_", "")
    FEATURES.add(_kind, f"tfmtl.schema.features.{_kind}:{_name}Feature", f"tfmtl.features.{_kind}:{_name}Behavior")
TASKS.add("binary", "tfmtl.schema.tasks.binary:BinaryTask", "tfmtl.tasks.binary:BinaryBehavior")
TASKS.add("regression", "tfmtl.schema.tasks.regression:RegressionTask", "tfmtl.tasks.regression:RegressionBehavior")
TASKS.add("multiclass", "tfmtl.schema.tasks.multiclass:MulticlassTask", "tfmtl.tasks.multiclass:MulticlassBehavior")
TASKS.add("ordinal", "tfmtl.schema.tasks.ordinal:OrdinalTask", "tfmtl.tasks.ordinal:OrdinalBehavior")
TASKS.add("quantile", "tfmtl.schema.tasks.quantile:QuantileTask", "tfmtl.tasks.quantile:QuantileBehavior")
TASKS.add(
    "zero_inflated",
    "tfmtl.schema.tasks.zero_inflated:ZeroInflatedTask",
    "tfmtl.tasks.zero_inflated:ZeroInflatedBehavior",
)
TASKS.add("survival", "tfmtl.schema.tasks.survival:SurvivalTask", "tfmtl.tasks.survival:SurvivalBehavior")


def register_feature(kind: str, record: str, behavior: str) -> None:
    """Makes a kind of feature known: call it in a module that problem files name in `plugins:`.

    Args:
        kind: str. The value of `kind:` in the problem file.
        record: str. The frozen dataclass, a `FeatureRecord`, as `"package.module:Class"`.
        behavior: str. The `tfmtl.features.FeatureBehavior`, likewise.

    Raises:
        ValueError: the name belongs to another kind.

    Example:

    >>> register_feature("audio", record="my_audio.record:AudioFeature", behavior="my_audio.behavior:AudioBehavior")
    """
    FEATURES.add(kind, record, behavior)


def register_task(kind: str, record: str, behavior: str) -> None:
    """Makes a kind of task known: call it in a module that problem files name in `plugins:`.

    Args:
        kind: str. The value of `kind:` in the problem file.
        record: str. The frozen dataclass, a `TaskRecord`, as `"package.module:Class"`.
        behavior: str. The `tfmtl.tasks.TaskBehavior`, likewise.

    Raises:
        ValueError: the name belongs to another kind.

    Example:

    >>> register_task("rank", record="my_ranks.record:RankTask", behavior="my_ranks.behavior:RankBehavior")
    """
    TASKS.add(kind, record, behavior)
