"""Counts of encoded features, against plain loops."""

from collections import Counter

import numpy as np

from tfmtl.data import PreparedData
from tfmtl.data.feature_counts import FeatureCounts


def test_counts_are_those_of_plain_loops(tiny_data: PreparedData) -> None:
    counts = FeatureCounts(tiny_data.inputs)
    ids: dict[str, Counter[int]] = {name: Counter() for name in counts.ids}
    events: dict[str, Counter[int]] = {name: Counter() for name in counts.events}
    lengths: dict[str, Counter[int]] = {name: Counter() for name in counts.lengths}
    numbers: dict[str, list[float]] = {name: [] for name in counts.numbers}
    for features, _, groups in tiny_data.split("train", 50).as_numpy_iterator():
        counts.add(features)
        for row in range(len(groups)):
            for name, seen in ids.items():
                seen.update([i for i in features[name][row] if i] if name == "tags" else [features[name][row]])
            for name, values in numbers.items():
                values.append(features[name][row])
            lengths["tags (length)"][int(np.sum(features["tags"][row] != 0))] += 1
            for sequence in tiny_data.problem.sequences:
                first = features[sequence.column_key(sequence.columns[0])][row]
                lengths[sequence.name][int(np.sum(first != 0))] += 1
                for name in events:
                    if name.startswith(f"{sequence.name}__"):
                        events[name].update(features[name][row][first != 0])
    assert set(ids) == {"user", "item", "previous_item", "topic", "tags", "device", "price"}
    assert set(numbers) == {"age", "views"}
    assert set(events) == {
        *("clicked__item", "clicked__topic", "clicked__gap", "seen__topic", "seen__price", "seen__gap", "bought__item")
    }
    assert set(lengths) == {"tags (length)", "clicked", "seen", "bought"}
    for expected, found in ((ids, counts.ids), (events, counts.events), (lengths, counts.lengths)):
        for name, seen in expected.items():
            assert {index: count for index, count in enumerate(found[name].tolist()) if count} == dict(seen), name
    for name, values in numbers.items():
        assert counts.numbers[name].tolist() == values


def test_features_may_have_different_numbers_of_rows(tiny_data: PreparedData) -> None:
    """One user's row beside three items': each is counted by itself."""
    features, _, _ = next(tiny_data.split("train", 3).as_numpy_iterator())
    items = {feature.name for feature in tiny_data.problem.features if feature.side == "item"}
    counts = FeatureCounts(tiny_data.inputs)
    counts.add({name: values if name in items else values[:1] for name, values in features.items()})
    assert (counts.ids["item"].sum(), counts.ids["user"].sum(), counts.lengths["clicked"].sum()) == (3, 1, 1)
    assert (len(counts.numbers["views"]), len(counts.numbers["age"])) == (3, 1)
