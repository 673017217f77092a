"""Features that share a table of embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfmtl.schema.features.feature_record import FeatureRecord
from tfmtl.schema.problem_error import ProblemError

if TYPE_CHECKING:
    from tfmtl.schema.problem import Problem


def check_shared_table(problem: Problem, feature: FeatureRecord, table: str, arguments: Sequence[str]) -> None:
    """Raises unless all features of a table are of one kind and agree on everything that shapes it.

    Args:
        problem: `Problem`.
        feature: the one that asks.
        table: str. A table that it uses.
        arguments: names of the keys that shape a table of this kind.
    """
    users = problem.tables[table]
    for other in users:
        if other.kind != feature.kind:
            raise ProblemError(
                f"Problem: table '{table}' is used by the {other.kind} feature '{other.name}' and the {feature.kind} "
                f"feature '{feature.name}'. Give one of them another `table`."
            )
    first = users[0]
    for argument in arguments:
        received = getattr(first, argument), getattr(feature, argument)
        if received[0] != received[1]:
            raise ProblemError(
                f"Problem: features '{first.name}' and '{feature.name}' share table '{table}' but differ in "
                f"`{argument}`: {received[0]!r} and {received[1]!r}. Make them equal."
            )
