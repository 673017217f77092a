"""Parts of a request's time, such as hour and weekday."""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from tfmtl.schema.checks import check_choice, check_minimum
from tfmtl.schema.features.derived import check_derived_name
from tfmtl.schema.features.feature_record import FeatureRecord
from tfmtl.schema.forms import EncodedTensor
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.reserved import RESERVED_IDS
from tfmtl.schema.shown import shown
from tfmtl.schema.strict import check_types

if TYPE_CHECKING:
    from tfmtl.schema.problem import Problem

PARTS = {"hour": 24, "weekday": 7, "day_of_month": 31, "is_weekend": 2}
"""Part -> how many values it has."""


@dataclass(frozen=True)
class TimePartFeature(FeatureRecord):
    """Parts of the time at which the request is made, each a field `<name>_<part>` with a table of its own.

    `hour` 0 to 23, `weekday` from Monday, `day_of_month` from the first, `is_weekend` on Saturday and Sunday. The time
    column has to count from 1970. Days of changed clocks are those known to the machine that preprocesses.

    Args:
        part: tuple of str, some of the above.
        time_zone: str. A name of the IANA time zone database, such as `"Europe/Berlin"`. Defaults to `"UTC"`.
        name: str. Defaults to `""`: `"time"`.
        dim: int. Width of the tables. Defaults to `16`.
    """

    kind: ClassVar[str] = "time_part"

    part: tuple[Annotated[str, tuple(PARTS)], ...]
    time_zone: str = "UTC"
    name: str = ""
    dim: int = 16

    def __post_init__(self) -> None:
        check_types("TimePartFeature", self)
        object.__setattr__(self, "name", self.name or "time")
        check_derived_name(self)
        owner = f"TimePartFeature '{self.name}'"
        check_minimum(owner, "dim", self.dim, 1)
        for part in self.part:
            check_choice(owner, "part", part, PARTS)
        if not self.part or len(set(self.part)) < len(self.part):
            raise ProblemError(f"{owner}: `part` must name parts, each once. Received: part={self.part!r}.")
        check_time_zone(owner, self.time_zone)

    @property
    def columns(self) -> tuple[str, ...]:
        return ()

    def needs_time(self, problem: Problem) -> bool:
        return True

    def tensors(self, problem: Problem) -> tuple[EncodedTensor, ...]:
        keys = {part: f"{self.name}_{part}" for part in self.part}
        return tuple(
            EncodedTensor(key, "id", key, (), key, PARTS[part] + RESERVED_IDS, self.dim, True)
            for part, key in keys.items()
        )

    def check(self, problem: Problem) -> None:
        if problem.keys.time is None:
            raise ProblemError(
                f"Problem: feature '{self.name}' of kind time_part needs `keys.time`. Received: time=None."
            )


def check_time_zone(owner: str, time_zone: str) -> None:
    """Raises `ProblemError` unless the IANA time zone database has the name."""
    try:
        zoneinfo.ZoneInfo(time_zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ProblemError(
            f"{owner}: `time_zone` must be a name of the IANA time zone database. Received: "
            f"time_zone={shown(time_zone)}. Write it as in 'Europe/Berlin'."
        ) from error
