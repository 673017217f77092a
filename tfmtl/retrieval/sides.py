"""The features that each tower may read."""

from tfmtl.schema import FeatureRecord, Problem


def item_features(problem: Problem) -> list[FeatureRecord]:
    """Those that an item has by itself, rates of such included: what is derived from the user as well is left out."""
    given = {feature.name for feature in problem.features if any(each.side == "item" for each in feature.inputs())}
    return [
        feature
        for feature in problem.features
        if feature.name in given or (feature.sources and given.issuperset(feature.sources))
    ]


def user_features(problem: Problem) -> list[FeatureRecord]:
    """Those that are known before any item is looked at."""
    of_item = item_features(problem)
    return [
        feature
        for feature in problem.features
        if feature not in of_item and not any(each.side == "item" for each in feature.tensors(problem))
    ]


def pair_features(problem: Problem) -> list[FeatureRecord]:
    """Those of a user and an item together, such as whether the item is in the user's history."""
    of_one = [*item_features(problem), *user_features(problem)]
    return [feature for feature in problem.features if feature not in of_one]
