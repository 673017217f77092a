"""The rule that splits rows into training, validation and test."""

from dataclasses import dataclass
from typing import Annotated

from tfmtl.schema.checks import check_choice, check_column
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.strict import check_types

SPLITS = ("train", "valid", "test")
WAYS = ("time", "user", "row", "column")


@dataclass(frozen=True)
class Split:
    """The rule that puts a row into `train`, `valid` or `test`.

    - `by="time"`: the newest `test` share of the examples is the test split,
      the `valid` share before it the validation split; or give the first times
      of both, `valid_from` and `test_from`. Rows of one time stay together.
      Shares are cut exactly where the log has up to a million different
      times; more are taken together, two, four, ... neighbors at a time.
    - `by="user"`: a hash of the user and the seed, shares `valid` and `test` of the users.
    - `by="row"`: a hash of the row's place in the log and the seed, for tables without users or times.
    - `by="column"`: `column` holds the words train, valid, test.

    Args:
        by: str, one of the above. Defaults to `"time"`.
        valid: float. Share of the validation split. Defaults to `0.1`.
        test: float. Share of the test split. Defaults to `0.1`.
        valid_from: int or None. First time of the validation split.
        test_from: int or None. First time of the test split.
        column: str or None. The column, for `by="column"`.
    """

    by: Annotated[str, WAYS] = "time"
    valid: float = 0.1
    test: float = 0.1
    valid_from: int | None = None
    test_from: int | None = None
    column: str | None = None

    def __post_init__(self) -> None:
        check_types("Split", self)
        check_choice("Split", "by", self.by, WAYS)
        if self.by == "column":
            if self.column is None:
                raise ProblemError("Split: `column` must be given with by='column'. Received: column=None.")
            check_column("Split", "column", self.column)
        elif self.column is not None:
            raise ProblemError(f"Split: `column` goes with by='column' only. Received: by={self.by!r}.")
        for argument in ("valid", "test"):
            share = getattr(self, argument)
            if not 0.0 <= share < 1.0:
                raise ProblemError(f"Split: `{argument}` must be in [0, 1). Received: {argument}={share!r}.")
        if self.valid + self.test >= 1.0:
            raise ProblemError(
                f"Split: `valid` + `test` must leave training rows. Received: {self.valid} + {self.test}."
            )
        if (self.valid_from is None) != (self.test_from is None):
            raise ProblemError("Split: `valid_from` and `test_from` must be given together.")
        if self.valid_from is not None and self.test_from is not None:
            if self.by != "time":
                raise ProblemError(f"Split: `valid_from` goes with by='time' only. Received: by={self.by!r}.")
            if self.valid_from > self.test_from:
                raise ProblemError(
                    "Split: `valid_from` must not be after `test_from`. "
                    f"Received: valid_from={self.valid_from}, test_from={self.test_from}."
                )

    @property
    def needs_time_shares(self) -> bool:
        """Whether the boundaries have to be found from the rows' times."""
        return self.by == "time" and self.valid_from is None

    @property
    def requested_splits(self) -> tuple[str, ...]:
        """The splits besides training that must not be empty; unknown for a split by column."""
        if self.by == "column":
            return ()
        if self.valid_from is not None:
            return ("valid", "test") if self.valid_from != self.test_from else ("test",)
        return tuple(name for name, share in (("valid", self.valid), ("test", self.test)) if share > 0)
