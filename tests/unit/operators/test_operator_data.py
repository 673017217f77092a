"""Batches are a function of the step, and wrong data are refused."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.operators.small_problems import masked, waves
from tfmtl.operators import OperatorData


def drawn(data: OperatorData, **options) -> list:
    return [(batch, targets.numpy()) for batch, targets in data.batches(5, **options)]


def test_every_sample_once_an_epoch_in_a_new_order() -> None:
    data = waves(count=10)  # 20 samples, 4 batches an epoch
    rows = [batch["initial"].numpy() for batch, _ in drawn(data, steps=8)]
    first, second = np.concatenate(rows[:4]), np.concatenate(rows[4:])
    assert np.any(first != second)
    for epoch in (first, second):
        np.testing.assert_array_equal(np.sort(epoch, axis=0), np.sort(data.inputs["initial"], axis=0))


def test_a_step_is_the_same_wherever_one_starts_and_differs_with_the_seed() -> None:
    data = waves(count=10)
    whole, rest = drawn(data, steps=6, num_queries=7), drawn(data, steps=6, num_queries=7, start=4)
    assert len(rest) == 2
    for (one, one_targets), (other, other_targets) in zip(whole[4:], rest, strict=True):
        np.testing.assert_array_equal(one_targets, other_targets)
        np.testing.assert_array_equal(one["points"], other["points"])
    assert np.any(drawn(data, steps=1, seed=1)[0][1] != drawn(data, steps=1)[0][1])


def test_queries_are_distinct_points_with_their_own_targets() -> None:
    data = masked()
    for batch, targets in drawn(data, steps=3, num_queries=6):
        places = [int(np.flatnonzero((data.points == point).all(axis=1))[0]) for point in batch["points"].numpy()]
        assert len(set(places)) == 6
        for row in range(5):
            sample = np.flatnonzero((data.inputs["k"] == batch["k"][row].numpy()).all(axis=(1, 2)))[0]
            np.testing.assert_array_equal(targets[row], data.targets[sample, places])
            np.testing.assert_array_equal(batch["mask"][row], data.mask[sample, places])


def test_order_of_the_tasks_does_not_matter() -> None:
    data = waves()
    a, b = data.task("a"), data.task("b")
    one, other = OperatorData.join(a, b), OperatorData.join(b, a)
    assert one.task_names == other.task_names == ("a", "b")
    np.testing.assert_array_equal(one.targets, other.targets)
    np.testing.assert_array_equal(one.tasks, other.tasks)


def test_whole_gives_every_sample_in_order_with_all_points() -> None:
    data = masked()
    batches = list(data.whole(4))
    np.testing.assert_array_equal(np.concatenate([targets for _, targets in batches]), data.targets)
    assert all(batch["points"].shape == data.points.shape for batch, _ in batches)


def test_wrong_data_are_refused_in_one_line() -> None:
    data = masked()
    odd = np.array(data.targets)
    odd[2, 12] = np.nan
    with pytest.raises(
        ValueError, match=r"`targets` must be finite. Received: targets=nan at \(2, 12\), 1 such values"
    ):
        replace(data, targets=odd)
    with pytest.raises(ValueError, match="`targets` must be 0 outside of the mask"):
        replace(data, targets=np.ones_like(data.targets))
    with pytest.raises(ValueError, match=r"`mask` must be bool \(10, 16\). Received: mask='bool \(10, 9\)'"):
        replace(data, mask=np.ones((10, 9), bool))
    with pytest.raises(ValueError, match=r"`targets.shape` must be \(10, 16\) or \(10, 16, C\)"):
        replace(data, targets=data.targets[:, :9])
    with pytest.raises(ValueError, match="`k` must have 10 rows"):
        replace(data, inputs={**data.inputs, "k": data.inputs["k"][:3]})
    with pytest.raises(ValueError, match="must not be named"):
        replace(data, inputs={"mask": data.inputs["k"]})
    with pytest.raises(ValueError, match="`points` must be the same in all parts"):
        OperatorData.join(data, replace(data, points=data.points + 1))
    with pytest.raises(ValueError, match="`inputs` must be the same in all parts"):
        OperatorData.join(data, replace(data, mask=None))
    with pytest.raises(ValueError, match="`num_queries` must be a positive int"):
        data.batches(4, 1, num_queries=0)
