"""The items of the training split, read again from the log that was prepared: from files, or from a frame."""

from pathlib import Path

import pandas as pd
import pytest

import tfmtl
from tests.support.tiny_problem import tiny_log, tiny_problem
from tfmtl.data import PreparedData
from tfmtl.retrieval import training_items


@pytest.fixture(scope="module")
def data() -> PreparedData:
    return tfmtl.prepare(tiny_log(), tiny_problem(), num_shards=1)


def test_a_frame_and_its_file_have_the_same_items(data: PreparedData, tmp_path: Path) -> None:
    tiny_log().to_pandas().to_parquet(tmp_path / "log.parquet")
    items = training_items(data, tiny_log().to_pandas())
    for log in (tmp_path / "log.parquet", tiny_log()):
        again = training_items(data, log, item="item")
        pd.testing.assert_frame_equal(again.to_pandas(), items.to_pandas())
    trained = tiny_log().slice(0, data.num_examples("train"))["item"].to_pylist()
    assert sorted(items["item"].to_pylist()) == sorted(set(trained))


def test_the_log_has_to_be_the_one_that_was_prepared(data: PreparedData) -> None:
    with pytest.raises(ValueError, match="the log must be the one that was prepared"):
        training_items(data, tiny_log().slice(9))
    with pytest.raises(ValueError, match=r"must match at least one .* Give the log that was prepared\."):
        training_items(data)
    with pytest.raises(TypeError, match="retrieve: `frame` must be a pandas or polars DataFrame"):
        training_items(data, 7)
    with pytest.raises(ValueError, match="retrieve: `item` must be one of"):
        training_items(data, tiny_log(), item="tags")
