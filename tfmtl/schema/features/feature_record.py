"""What every kind of feature says of itself, without TensorFlow and NumPy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from tfmtl.schema.forms import EncodedTensor, RequestInput

if TYPE_CHECKING:
    from tfmtl.schema.problem import Problem

SIDES = ("user", "item", "context")


class FeatureRecord(ABC):
    """A feature as the problem file describes it; a subclass is a frozen dataclass whose fields are the file's keys.

    Attributes:
        kind: str. The name in the file.
        name: str. The feature's name everywhere.
        missing: tuple of str. Texts that mean missing in its column.
    """

    kind: ClassVar[str]

    name: str
    missing: tuple[str, ...] = ()

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The columns of the log that it reads; none for a feature that is derived from others."""

    @property
    def sources(self) -> tuple[str, ...]:
        """The sequences and features that it is derived from."""
        return ()

    def needs_time(self, problem: Problem) -> bool:
        """Whether a request has to say when it is made."""
        return False

    @property
    def identifies(self) -> bool:
        """Whether its ids tell the values of a row apart, as the id of an item has to."""
        return False

    @property
    def not_in_events(self) -> str | None:
        """Why it cannot be a column of a sequence; `None` if it can."""
        return f"whose kind '{self.kind}' cannot stand inside events"

    def inputs(self) -> tuple[RequestInput, ...]:
        """What a request brings; none for a derived feature."""
        return ()

    @abstractmethod
    def tensors(self, problem: Problem) -> tuple[EncodedTensor, ...]:
        """What the model reads. It follows from the record and the rest of the problem, never from data."""

    def check(self, problem: Problem) -> None:
        """Raises `ProblemError` where it does not go with the rest of the problem."""
        return
