"""The tiny problem with events that carry lists and scaled numbers."""

from typing import Any

from tests.support.tiny_problem import tiny_problem
from tfmtl.schema import HistoryFeature, MatchFeature, NumericFeature, Problem, SequenceFeature


def rich_problem(**changes: Any) -> Problem:
    """Events with names, lists of another width, numbers of every scale, with and without time gaps."""
    parts: dict[str, Any] = {
        "name": "rich",
        "features": (
            *tiny_problem().features,
            NumericFeature("cost", transform="both", buckets=4, dim=8, side="item", column="price"),
            HistoryFeature("clicked", mean=("cost", "views")),
            MatchFeature("clicked", ("item",)),
        ),
        "sequences": (
            SequenceFeature("clicked", ("item", "tags", "cost", "views"), when="click == 1", max_length=5),
            SequenceFeature("seen", ("cost", "age", "tags"), max_length=3, time_gap_buckets=0),
        ),
    }
    return tiny_problem(**{**parts, **changes})
