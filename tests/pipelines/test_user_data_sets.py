"""Data sets that users bring themselves, from hand-made lines in their files' formats."""

import gzip
import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet
import pytest

from tests.support.small_log import records, values
from tfmtl.pipelines.datasets import DATASETS
from tfmtl.pipelines.datasets.source import FetchError
from tfmtl.pipelines.preprocess.job import preprocess
from tfmtl.preprocessing import columns
from tfmtl.schema import Split

DAY = 86_400
NOON = 1_511_956_800  # 2017-11-29 12:00 UTC, a Wednesday; 20:00 in Beijing


def _gzip(*lines: str) -> bytes:
    return gzip.compress("".join(f"{line}\n" for line in lines).encode())


def _events(*events: tuple[Any, ...]) -> dict[str, bytes]:
    lines = [",".join(map(str, event)) for event in events]
    return {"events.csv.gz": _gzip("user_id,item_id,behavior,timestamp", *lines)}


_VIDEOS = "kuairand27k_like_or_hate_kcore15.csv.gz"
_VIDEO_COLUMNS = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
    "play_time_ms,duration_ms,comment_stay_time,is_profile_enter"
)
_LATE = 1_649_343_599_000  # 22:59:59 in Beijing
VIDEOS = {
    _VIDEOS: _gzip(
        _VIDEO_COLUMNS,
        f"7,30,20220407,2300,{_LATE + 2000},0,0,0,0,0,1,0,0,0,0,1",  # a picture: no duration
        f"7,20,20220407,2300,{_LATE},1,1,0,1,0,0,1,43454,14233,27683,0",
        f"9,20,20220407,2200,{_LATE},1,1,1,0,1,0,1,600000,700000,0,0",
        f"7,20,20220407,2200,{_LATE},1,1,0,1,0,0,1,43454,14233,27683,0",  # the same again, filed under another hour
    )
}
SHOP = _events((1, 5, "view", NOON), (1, 5, "cart", NOON + 9), (1, 6, "view", NOON + 10), (2, 5, "buy", NOON + 9 * DAY))
MARKET = _events((1, 5, "cart", NOON), (1, 5, "buy", NOON + 3600), (2, 5, "fav", NOON - 1), (1, 6, "buy", NOON + 5))
LISTS = {
    "impressions.jsonl.gz": _gzip(
        *(
            json.dumps(
                {"impression_id": n, "user_id": f"U{n}", "time": f"2019-11-{day}T{clock}", "history": history,
                 "candidates": candidates, "clicks": clicks}
            )
            for n, (day, clock, history, candidates, clicks) in enumerate(
                [
                    ("12", "10:00:00", ["N7", "N8"], ["N1", "N2"], [1, 0]),
                    ("12", "10:00:00", [], ["N1", "N3"], [0, 1]),
                    ("13", "10:30:00", ["N1"], ["N1", "N9"], [1, 0]),
                    ("14", "11:00:00", ["N1", "N3", "N7"], ["N1", "N3"], [0, 1]),
                ]
            )
        )
    )
}  # fmt: skip
FILES: dict[str, Mapping[str, bytes]] = {
    "kuairand_explicit": VIDEOS, "retailrocket_mb": SHOP, "taobao_mb": MARKET, "news_impressions": LISTS,
}  # fmt: skip


def _write(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def _rows(name: str, files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    return list(DATASETS[name].to_rows(dict(files)).to_pylist())


# === KuaiRand ===


def test_videos() -> None:
    first, second, third = _rows("kuairand_explicit", VIDEOS)
    assert first == {
        "user_id": 7, "video_id": 20, "time_ms": _LATE, "duration_seconds": pytest.approx(14.233),
        "click": 1, "long_view": 1, "profile_enter": 0, "comment": 1, "follow": 0,
        "watch_seconds": pytest.approx(43.454), "is_like": 1, "is_hate": 0,
    }  # fmt: skip
    assert (second["user_id"], second["watch_seconds"], second["follow"]) == (9, 180.0, 1)
    assert (third["video_id"], third["duration_seconds"], third["is_hate"]) == (30, None, 1)


def test_neither_play_time_nor_a_reaction_is_a_feature_of_its_own_video() -> None:
    problem = DATASETS["kuairand_explicit"].problem
    read = {column for feature in problem.features for column in feature.columns}
    assert read == {"user_id", "video_id", "duration_seconds"}
    assert "is_like" not in {task.label_column for task in problem.tasks}


# === News ===


def test_a_row_for_each_candidate_with_what_earlier_lists_say() -> None:
    rows = _rows("news_impressions", LISTS)
    assert [(row["impression_id"], row["news_id"], row["click"]) for row in rows[2:5]] == [
        ("1", "N1", 0), ("1", "N3", 1), ("2", "N1", 1),
    ]  # fmt: skip
    assert [row["history"] for row in rows[::2]] == [["N7", "N8"], [], ["N1"], ["N1", "N3", "N7"]]
    seen = {(row["impression_id"], row["news_id"]): row for row in rows}
    counts = ("shown_before", "clicked_before", "hours_since_shown")
    assert [seen["1", "N1"][name] for name in counts] == [0, 0, 0.0]  # shown at the same time, not before
    assert [seen["2", "N1"][name] for name in counts] == [2, 1, 24.5]
    assert [seen["3", "N1"][name] for name in counts] == [3, 2, 49.0]
    assert seen["3", "N3"]["click_rate_before"] == pytest.approx((1 + 0.8) / 21)
    assert {row["list_length"] for row in rows} == {2}


def test_a_list_without_a_click_for_each_candidate_is_refused() -> None:
    line = json.dumps({"impression_id": 5, "candidates": ["N1", "N2"], "clicks": [1]})
    with pytest.raises(ValueError, match=r"impression 5 must have a click for each candidate. Received: 1 for 2"):
        _rows("news_impressions", {"impressions.jsonl.gz": _gzip(line)})


# === RetailRocket ===


def _labels(*events: tuple[Any, ...], until: int = NOON + 9 * DAY) -> list[tuple[Any, ...]]:
    """`(cart, buy, is_example)` of the views of user 1, in order of time."""
    rows = _rows("retailrocket_mb", _events(*events, (9, 9, "buy", until)))
    return [(row["cart"], row["buy"], row["is_example"]) for row in rows if row["behavior"] == "view"]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], (0, 0, 1)),
        ([("cart", 0)], (1, 0, 1)),  # the view's own second
        ([("cart", 9), ("buy", DAY)], (1, 1, 1)),
        ([("cart", 9), ("buy", DAY + 1)], (1, 0, 1)),
        ([("cart", DAY + 1)], (0, 0, 1)),
        ([("buy", 60)], (0, 1, 1)),  # bought at once
        ([("cart", -1)], (None, 0, 1)),
        ([("cart", -1), ("buy", 9)], (None, 1, 1)),
        ([("cart", -2), ("buy", -1)], (None, None, 0)),
        ([("buy", -1), ("cart", 9)], (None, None, 0)),
    ],
)
def test_what_follows_a_view(events: list[tuple[str, int]], expected: tuple[Any, ...]) -> None:
    mine = [(1, 5, behavior, NOON + after) for behavior, after in events]
    others = [(1, 6, "cart", NOON + 3), (2, 5, "buy", NOON + 3), (1, 4, "buy", NOON - 3), (0, 5, "cart", NOON - 3)]
    assert _labels((1, 5, "view", NOON), *mine, *others) == [expected]
    assert _labels(*others, *mine, (1, 5, "view", NOON)) == [expected]


def test_a_view_whose_day_is_not_over_is_no_example() -> None:
    view, cart = (1, 5, "view", NOON), (1, 5, "cart", NOON + 9)
    assert _labels(view, cart, until=NOON + DAY) == [(1, 0, 1)]
    assert _labels(view, cart, until=NOON + DAY - 1) == [(None, None, 0)]


def test_the_log_ends_where_the_next_item_begins() -> None:
    assert _labels((1, 6, "cart", NOON), (1, 5, "view", NOON + 10), until=NOON + 10 + DAY) == [(0, 0, 1)]


def test_views_that_were_not_merged() -> None:
    assert _labels((1, 5, "view", NOON), (1, 5, "cart", NOON + 9), (1, 5, "view", NOON + 20)) == [
        (1, 0, 1),
        (None, 0, 1),
    ]


def test_shop_rows_in_order() -> None:
    rows = _rows("retailrocket_mb", _events((2, 5, "cart", NOON + 4 * DAY + 3600), (1, 6, "view", NOON)))
    assert [(row["user_id"], row["behavior"]) for row in rows] == [(1, "view"), (2, "cart")]
    assert rows[1] | {"cart": None, "buy": None, "is_example": 0} == rows[1]


def test_no_events() -> None:
    assert _rows("retailrocket_mb", _events()) == []


def test_carts_and_buys_are_history_only_and_known_from_the_next_second_on(tmp_path: Path) -> None:
    events = [(1, 5, "view", NOON), (1, 5, "cart", NOON + 9), (1, 5, "buy", NOON + 20), (1, 6, "view", NOON + 20)]
    events += [(1, 7, "view", NOON + 21), (1, 9, "buy", NOON + 40), (2, 5, "view", NOON + 9 * DAY)]
    dataset = DATASETS["retailrocket_mb"]
    raw = dataset.prepare(tmp_path / "raw", _write(tmp_path / "user", _events(*events)))
    problem = replace(dataset.problem, split=Split(valid=0.0, test=0.0))  # three examples are too few for three splits
    manifest = preprocess(problem, [str(raw)], str(tmp_path / "data"), num_shards=1)
    assert (manifest["rows_in"], manifest["rows_written"], manifest["rows_history_only"]) == (7, 3, 4)
    written = [values(record) for split in ("train", "valid", "test") for record in records(tmp_path / "data", split)]
    lengths = {
        tuple(len(example[f"{history}__item_id"]) for history in ("viewed", "carted", "bought")) for example in written
    }
    assert lengths == {(0, 0, 0), (1, 1, 0), (2, 1, 1)}


# === Taobao ===


def test_market_rows() -> None:
    shown = ("user_id", "item_id", "timestamp", "fav", "cart", "buy")
    assert [tuple(row[name] for name in shown) for row in _rows("taobao_mb", MARKET)] == [
        (2, 5, NOON - 1, 1, 0, 0),
        (1, 5, NOON, 0, 1, 0),
        (1, 6, NOON + 5, 0, 0, 1),
        (1, 5, NOON + 3600, 0, 0, 1),
    ]


# === All ===


@pytest.mark.parametrize("name", FILES)
def test_the_problem_file_fits_the_rows(name: str) -> None:
    dataset = DATASETS[name]
    rows = dataset.to_rows(dict(FILES[name]))
    assert dataset.name == dataset.problem.name == name
    assert set(columns.raw_columns(dataset.problem)) <= set(rows.column_names)
    assert dataset.problem.split.by == "time"


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_fetched(name: str, tmp_path: Path) -> None:
    file = next(iter(FILES[name]))
    text = rf"^datasets: '{name}' cannot be downloaded automatically\. .+ Put {re.escape(file)} in a folder and "
    with pytest.raises(FetchError, match=text + r"give it with --folder\.$"):
        DATASETS[name].prepare(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", FILES)
def test_the_file_is_found_inside_the_folder_once(name: str, tmp_path: Path) -> None:
    _write(tmp_path / "user" / "inside", FILES[name])
    output = DATASETS[name].prepare(tmp_path / "out", tmp_path / "user")
    assert parquet.read_table(output / "log.parquet").num_rows == len(_rows(name, FILES[name]))
    _write(tmp_path / "user" / "again", FILES[name])
    with pytest.raises(FetchError, match=r": 2 files are called \S+\.(csv|jsonl)\.gz: .*/again/.*, .*/inside/"):
        DATASETS[name].prepare(tmp_path / "out", tmp_path / "user")


@pytest.mark.parametrize(("name", "other"), [("retailrocket_mb", MARKET), ("taobao_mb", SHOP)])
def test_the_events_of_another_data_set(name: str, other: Mapping[str, bytes]) -> None:
    with pytest.raises(ValueError, match=r"'events\.csv\.gz': behavior must be one of \[.*\]\. Received: '(fav|view)'"):
        DATASETS[name].to_rows(dict(other))


_HEADER = b"user_id,item_id,behavior,timestamp\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"user_id,item_id\n", "Not a gzipped file"),
        (SHOP["events.csv.gz"][:-12], "Compressed file ended before the end-of-stream marker"),
        (gzip.compress(b""), "Empty CSV file"),
        (gzip.compress(b"user_id,item_id,timestamp\n"), "Column 'behavior' in include_columns does not exist"),
        (gzip.compress(_HEADER + b"1,5,view,noon\n"), "CSV conversion error to int64: invalid value 'noon'"),
        (gzip.compress(_HEADER + b"1,5\n"), "Expected 4 columns, got 2"),
    ],
    # Names of their own: gzip notes the time, and every process has to call the tests alike.
    ids=["not packed", "cut off", "empty", "a column too few", "no number", "a short line"],
)
def test_a_bad_file(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^datasets: 'events\\.csv\\.gz' cannot be read: .*{reason}"):
        DATASETS["retailrocket_mb"].to_rows({"events.csv.gz": content})


# === The real files ===


def _real(name: str) -> pa.Table:
    folder = Path(os.environ["TFMTL_DATA"]) / name
    return DATASETS[name].to_rows(DATASETS[name].find(folder))


needs_data = pytest.mark.skipif("TFMTL_DATA" not in os.environ, reason="TFMTL_DATA names no folder with the files")


@pytest.mark.data
@needs_data
def test_the_real_videos() -> None:
    rows = _real("kuairand_explicit")
    assert rows.num_rows == 41_828 - 124
    assert pc.sum(rows["is_like"]).as_py() + pc.sum(rows["is_hate"]).as_py() == rows.num_rows
    assert pc.count_distinct(rows["user_id"]).as_py() == 664


@pytest.mark.data
@needs_data
def test_the_real_shop() -> None:
    rows = _real("retailrocket_mb")
    counts = {entry["values"]: entry["counts"] for entry in rows["behavior"].value_counts().to_pylist()}
    assert counts == {"view": 75_374, "cart": 12_456, "buy": 9_551}
    examples = rows.filter(pc.equal(rows["is_example"], 1))
    assert set(examples["behavior"].to_pylist()) == {"view"}
    assert 0.05 < pc.mean(examples["buy"]).as_py() < pc.mean(examples["cart"]).as_py() < 0.15


@pytest.mark.data
@needs_data
def test_the_real_market() -> None:
    rows = _real("taobao_mb")
    totals = {behavior: pc.sum(rows[behavior]).as_py() for behavior in ("fav", "cart", "buy")}
    assert totals == {"fav": 49_482, "cart": 140_068, "buy": 167_862}
    assert rows.num_rows == 357_412
