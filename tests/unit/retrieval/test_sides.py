"""Which features belong to the user, to the item, and to both together."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.support.tiny_problem import tiny_problem
from tfmtl.retrieval import two_stage_quality
from tfmtl.retrieval.sides import item_features, pair_features, user_features
from tfmtl.schema import HistoryFeature, MatchFeature, Problem, RateFeature


def _problem() -> Problem:
    derived = (HistoryFeature("clicked"), MatchFeature("clicked", ("item",)), MatchFeature("bought", ("item",)))
    return tiny_problem(features=(*tiny_problem().features, *derived))


def test_a_match_with_an_items_column_is_of_both() -> None:
    problem = _problem()
    assert [each.name for each in pair_features(problem)] == ["clicked_match", "bought_match"]
    assert pair_features(tiny_problem()) == []
    sides = [item_features(problem), user_features(problem), pair_features(problem)]
    assert sorted(each.name for side in sides for each in side) == sorted(each.name for each in problem.features)
    assert "clicked" in user_features(problem)[-1].name


def test_a_rate_is_of_whom_its_feature_is() -> None:
    rates = (RateFeature("item", "click", known_after=0), RateFeature("user", "click", known_after=0))
    problem = tiny_problem(features=(*tiny_problem().features, *rates))
    assert pair_features(problem) == []
    assert rates[0] in item_features(problem)
    assert rates[1] in user_features(problem)


def test_what_is_of_both_cannot_be_ranked_from_encoded_features() -> None:
    data = cast(Any, SimpleNamespace(problem=_problem()))
    rule = r"^two_stage_quality: `data` must have no feature of a user and an item together\. Received: .*clicked_match"
    with pytest.raises(ValueError, match=rule):
        two_stage_quality(cast(Any, None), data, "retrieval", ["click"])
