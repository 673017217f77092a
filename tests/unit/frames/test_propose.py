"""What is proposed for a data frame, and how it shows itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

import tfmtl
from tests.support.shop_columns import shop_columns
from tfmtl.schema import Problem


@pytest.fixture(scope="module")
def shop() -> pd.DataFrame:
    return pd.DataFrame(shop_columns())


def test_a_frame_is_looked_at_as_a_file_is(shop: pd.DataFrame, tmp_path: Path) -> None:
    parquet.write_table(pa.Table.from_pandas(shop), tmp_path / "frame.parquet")
    from_file = tfmtl.propose(tmp_path / "frame.parquet", labels="click", item="viewItemID")
    for frame in (shop, pl.from_pandas(shop), pa.Table.from_pandas(shop)):
        proposed = tfmtl.propose(frame, labels=["click"], item="viewItemID")
        assert proposed.problem == from_file.problem
        assert proposed.left_out == from_file.left_out
    assert "from one table" not in proposed.text and "spread over one table" in proposed.text
    assert Problem.load(proposed.save(tmp_path / "new" / "problem.yaml")) == proposed.problem
    assert tfmtl.prepare(shop, proposed, num_shards=1).problem == proposed.problem


def test_every_line_is_shown_with_its_reason(shop: pd.DataFrame) -> None:
    proposed = tfmtl.propose(shop.assign(**{"<i>x</i>": "one"}), labels="click", item="viewItemID", name="my shop")
    assert proposed.problem.name == "my_shop"
    page, text = proposed._repr_html_(), repr(proposed)
    for shown in (page, text):
        for feature in proposed.problem.features:
            assert not feature.inputs() or feature.name in shown
        assert all(column in shown for column in proposed.left_out if "<" not in column)
    assert "<i>" not in page and "&lt;i&gt;x&lt;/i&gt;" in page
    assert "<i>x</i>" in text and max(map(len, text.splitlines())) <= 120


def test_rows_are_taken_from_all_over_a_frame() -> None:
    log = pa.table({"item": np.repeat(["a", "b", "c", "d"], 100), "click": np.tile([0, 1], 200)})
    proposed = tfmtl.propose(log, labels="click", item="item", rows=8)
    assert "8 of about 400 rows looked at" in repr(proposed)
    assert "4 values" in proposed.text


def test_without_a_label_candidates_are_named(shop: pd.DataFrame) -> None:
    proposed = tfmtl.propose(shop, item="viewItemID")
    assert "may be a task" in repr(proposed)
    with pytest.raises(ValueError, match=r"`labels` must name a column to predict.*Candidates: .*click"):
        proposed.problem  # noqa: B018
    with pytest.raises(ValueError, match=r"`user` must be a column. Received: 'usr'"):
        tfmtl.propose(shop, labels="click", user="usr")
    with pytest.raises(TypeError, match="propose: `labels` must be names of columns"):
        tfmtl.propose(shop, labels=[1])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("text", "asked", "rule"),
    [
        (None, {}, "input '.*' must match at least one"),
        ("", {}, "file '.*' is empty"),
        ("1,2\n3,4\n", {}, "must begin with a header line"),
        ("a,a\n3,4\n", {}, "more than one column"),
        ("a,b\n", {}, "holds no row"),
        ("a,b\nx,1\n", {"labels": "a"}, "label 'a' must be a column of numbers"),
        ("a,b\nx,1\n", {"labels": "c"}, "must be a column. Received: 'c'"),
        ("a,b\nx,1\n", {"rows": 0}, "`rows` must be a positive int"),
    ],
)
def test_every_error_names_the_function_that_was_called(
    tmp_path: Path, text: str | None, asked: dict[str, Any], rule: str
) -> None:
    log = tmp_path / "log.csv"
    if text is not None:
        log.write_text(text)
    with pytest.raises(ValueError, match=f"^propose: .*{rule}|^propose: {rule}"):
        tfmtl.propose(str(log), **asked)


def test_a_weekday_is_proposed_where_each_comes_four_times() -> None:
    rows = np.arange(400)
    for days, parts in ((27, "[hour]"), (29, "[hour, weekday]")):
        times = 1_600_000_000 + rows * days * 86_400 // 399
        log = pd.DataFrame({"user": rows % 20, "item": rows % 7, "time": times, "click": rows % 3 == 0})
        assert f"{{kind: time_part, part: {parts}}}" in tfmtl.propose(log, labels="click").text
