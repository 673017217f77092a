"""Gaps in NumPy are those of the serving graph, whatever the unit and however far apart."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tfmtl.data.raw_transform import RawTransform
from tfmtl.preprocessing.writing.time_gaps import TimeGaps
from tfmtl.schema import Keys, SequenceFeature


@pytest.mark.parametrize(("unit", "ticks"), [("s", 1), ("ms", 1000), ("us", 1_000_000)])
@pytest.mark.parametrize("farthest", [40, 2**31 - 1, 2**31, 2**52])
@pytest.mark.parametrize("buckets", [1, 24, 64])
def test_ids_are_those_of_the_transformation(unit: str, ticks: int, farthest: int, buckets: int) -> None:
    generator = np.random.default_rng(0)
    rows = generator.integers(-farthest // 2, farthest // 2, 50)
    rows[:2] = -farthest // 2, farthest // 2
    near = rows[:20, np.newaxis] - np.concatenate([2 ** np.arange(40), 2 ** np.arange(40) - 1]) * ticks
    events = np.concatenate([rows, near[near > -farthest].ravel()])
    starts = np.minimum(np.arange(50) * (len(events) // 50), len(events))
    stops = np.minimum(starts + generator.integers(0, len(events) // 50 + 1, 50), len(events))
    sequence = SequenceFeature("seen", ("item",), time_gap_buckets=buckets)
    chosen = generator.permutation(50)
    gaps = np.concatenate([rows[chosen[i]] - events[starts[i] : stops[i]] for i in range(50)])
    keys = SimpleNamespace(_problem=SimpleNamespace(keys=Keys("user", "ts", time_unit=unit)))
    expected = RawTransform.encode_gap(keys, sequence, tf.constant(gaps)).numpy()  # type: ignore[arg-type]
    ids = TimeGaps(sequence, ticks, rows, events).ids(chosen, starts, stops)
    assert ids.dtype == expected.dtype
    np.testing.assert_array_equal(ids, expected)


def test_no_rows_have_no_gaps() -> None:
    nothing = np.empty(0, np.int64)
    sequence = SequenceFeature("seen", ("item",))
    assert len(TimeGaps(sequence, 1, nothing, nothing).ids(nothing, nothing, nothing)) == 0
