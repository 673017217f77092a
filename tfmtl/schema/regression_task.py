"""A prediction of a number."""

from dataclasses import dataclass
from typing import ClassVar

from tfmtl.schema.task import Task


@dataclass(frozen=True)
class RegressionTask(Task):
    """A task whose label is a finite number; the model answers with its mean. Arguments: see `Task`."""

    kind: ClassVar[str] = "regression"
