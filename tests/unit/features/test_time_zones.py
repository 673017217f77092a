"""Clocks of a place, from the tables of its offsets."""

import datetime
import zoneinfo

import numpy as np
import pytest
import tensorflow as tf

from tfmtl.features.time_zones import local_seconds, utc_offsets


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kolkata", "UTC"])
def test_arrays_and_tensors_are_moved_as_clocks_are(zone: str) -> None:
    starts, offsets = utc_offsets(zone)
    change = 1_711_846_800  # clocks of Berlin, 2024-03-31
    seconds = np.array([0, change - 1, change, change + 1, 4_000_000_000], np.int64)
    local = [datetime.datetime.fromtimestamp(int(each), zoneinfo.ZoneInfo(zone)) for each in seconds]
    expected = [int(each.replace(tzinfo=datetime.UTC).timestamp()) for each in local]
    assert local_seconds(seconds, starts, offsets).tolist() == expected
    assert local_seconds(tf.constant(seconds), starts, offsets).numpy().tolist() == expected


def test_no_times_are_moved_to_none() -> None:
    assert local_seconds(np.array([], np.int64), *utc_offsets("Europe/Berlin")).tolist() == []
