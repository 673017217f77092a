"""How large lists of numbers may make the record of an example."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tfmtl.schema.problem_error import ProblemError

if TYPE_CHECKING:
    from tfmtl.schema.problem import Problem

_MOST_BYTES = 4096  # of a record that hold lists of numbers, unless the problem asks for more
_FLOAT_BYTES = 4


def is_large(size: int) -> bool:
    """Whether so many numbers alone are more than the record of an example ought to hold."""
    return size * _FLOAT_BYTES > _MOST_BYTES


def check_record_bytes(problem: Problem, name: str, large: bool) -> None:
    """Raises where all lists of numbers of an example together are larger than its record ought to be.

    Args:
        problem: `Problem`.
        name: str. The feature that asks.
        large: bool. Whether it allows more.
    """
    own = (each.inner for each in problem.tensors if each.role == "own" and not each.is_bytes)
    held = sum(map(math.prod, own)) * _FLOAT_BYTES
    if held > _MOST_BYTES and not large:
        raise ProblemError(
            f"Problem: feature '{name}' is one of the lists of numbers that take {held:,} bytes of every example's "
            f"record, more than {_MOST_BYTES:,}. Make it or the sequences that carry it shorter, or write "
            "`large: true` into it."
        )
