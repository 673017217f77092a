"""A yes/no prediction."""

from dataclasses import dataclass
from typing import ClassVar

from tfmtl.schema.task import Task


@dataclass(frozen=True)
class BinaryTask(Task):
    """A task whose label is 0 or 1; the model answers with a probability. Arguments: see `Task`."""

    kind: ClassVar[str] = "binary"
