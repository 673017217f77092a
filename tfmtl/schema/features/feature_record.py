"""The base class of feature records; needs neither TensorFlow nor NumPy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tfmtl.schema.forms import EncodedTensor, RequestInput

if TYPE_CHECKING:
    from tfmtl.schema.problem import Problem

SIDES = ("user", "item", "context")


@dataclass(frozen=True)
class Guess:
    """What `tfmtl schema infer` writes of a column.

    Args:
        options: keys of the record, without those that every feature has.
        why: str. What was seen, for the comment behind the line.
        rank: int. The kind with the highest one is written; names and numbers, which nearly every column may be read
            as, have -1. Defaults to `0`.
    """

    options: Mapping[str, Any]
    why: str
    rank: int = 0


class FeatureRecord(ABC):
    """A feature as the problem file describes it; a subclass is a frozen dataclass whose fields are the file's keys.

    Attributes:
        kind: str. The name in the file.
        name: str. The feature's name everywhere.
        missing: tuple of str. Texts that mean missing in its column.
        reads_labels: bool. Whether it is made of labels of the training split, so that an example there may read a part
            of them only (`RequestView.as_of`).
        dropout: float in [0, 1). Share of rows that are trained as if the feature were missing (modality dropout), so
            that a model answers well where it is; kinds for which it is worth a key have one.
    """

    kind: ClassVar[str]
    reads_labels: ClassVar[bool] = False

    name: str
    missing: tuple[str, ...] = ()
    dropout: float = 0.0

    @classmethod
    def guess(cls, column: Any) -> Guess | None:
        """How a column of a log is read by this kind, or `None` where it cannot be, as by default.

        Args:
            column: `tfmtl.proposal.column_profile.ColumnProfile`, of which attributes are read. Where `why_names` is
                given, its numbers are names.
        """
        return None

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The columns of the log that it reads; empty for a derived feature."""

    @property
    def sources(self) -> tuple[str, ...]:
        """The sequences and features that it is derived from."""
        return ()

    def needs_time(self, problem: Problem) -> bool:
        """Whether a request must contain its time."""
        return False

    @property
    def identifies(self) -> bool:
        """Whether different values have different ids, which the id of an item needs."""
        return False

    @property
    def hashed_columns(self) -> tuple[str, ...]:
        """Its columns whose texts are hashed: no vocabulary shows where one value has two spellings."""
        return ()

    @property
    def not_in_events(self) -> str | None:
        """Why it cannot be a column of a sequence; `None` if it can."""
        return f"whose kind '{self.kind}' cannot stand inside events"

    def inputs(self) -> tuple[RequestInput, ...]:
        """The tensors of a request; empty for a derived feature."""
        return ()

    @abstractmethod
    def tensors(self, problem: Problem) -> tuple[EncodedTensor, ...]:
        """The tensors that the model reads. They follow from the problem alone, never from data."""

    def check(self, problem: Problem) -> None:
        """Raises `ProblemError` if it does not fit the rest of the problem."""
        return
