"""Data sets in the very form in which they are published, from hand-made lines of that form."""

import gzip
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from tfmtl.pipelines.datasets import DATASETS
from tfmtl.pipelines.datasets.row_buckets import RowBuckets
from tfmtl.pipelines.datasets.source import FetchError
from tfmtl.pipelines.preprocess.job import preprocess
from tfmtl.preprocessing import columns

NOON = 1_511_956_800  # 2017-11-29 12:00 UTC, a Wednesday; 20:00 in Beijing
DAY = 86_400


def _features(*triples: tuple[str, str, float]) -> str:
    return "\x01".join(f"{field}\x02{value}\x03{weight}" for field, value, weight in triples)


def _lines(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


ALI_CCP = {
    "sample_train/sample_skeleton_train.csv": _lines(
        "1,1,0,bacff91692951881,4,"
        + _features(("205", "4445041", 1.0), ("216", "9038159", 1.0), ("210", "9070921", 1.0), ("210", "9070922", 1.0)),
        "2,1,1,0000a,3," + _features(("205", "i2", 1.0), ("206", "c", 1.0), ("508", "x", 2.39)),
        "3,0,1,0000a,1," + _features(("205", "i3", 1.0)),
        "4,0,0,absent,1," + _features(("205", "i4", 1.0)),
        "5,0,0,0000a,0,",
    ),
    "sample_train/common_features_train.csv": _lines(
        "bacff91692951881,4,"
        + _features(("101", "u1", 1.0), ("109_14", "c1", 0.69), ("109_14", "c2", 2.3), ("121", "3", 1.0)),
        "0000a,2," + _features(("101", "u2", 1.0), ("999", "unknown field", 1.0)),
    ),
    "sample_test/sample_skeleton_test.csv": _lines("1,0,0,t,1," + _features(("205", "i2", 1.0))),
    "sample_test/common_features_test.csv": _lines("t,1," + _features(("101", "u3", 1.0))),
}

_SEARCH = [f"categorical_{n}" for n in range(1, 17)] + [f"numerical_{n}" for n in range(1, 64)]


def _search(search: int, click: int, conversion: int) -> str:
    return ",".join(map(str, [search, *range(16), *np.arange(63) / 63, click, conversion]))


ALIEXPRESS = {
    "AliExpress_NL/train.csv": _lines(
        ",".join(["search_id", *_SEARCH, "click", "conversion"]),
        *(_search(search, search % 2, search % 2) for search in range(40) for _ in range(2)),
    ),
    "AliExpress_NL/test.csv": _lines(",".join(["search_id", *_SEARCH, "click", "conversion"]), _search(3, 0, 0)),
}

_LATE = 1_649_343_599_000  # 22:59:59 in Beijing
_LOG = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
    "play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab"
)
KUAIRAND = {
    "data/log_standard_4_08_to_4_21_pure.csv": _lines(
        _LOG, f"7,20,20220407,2300,{_LATE},1,1,0,1,0,0,1,43454,14233,0,9,0,0,1"
    ),
    "data/log_random_4_22_to_5_08_pure.csv": _lines(
        _LOG, f"9,30,20220408,0,{_LATE + 3_600_000},0,0,0,0,0,1,0,700000,0,0,0,1,1,4"
    ),
}

RETAILROCKET = {
    "events.csv": _lines(
        "timestamp,visitorid,event,itemid,transactionid",
        f"{NOON}117,1,view,5,",
        f"{NOON + 9}000,1,addtocart,5,",
        f"{NOON + 20}999,1,view,5,",  # again, after the cart
        f"{NOON + 30}000,1,transaction,5,16100",
        f"{NOON + 40}000,2,view,5,",
        f"{NOON + 9 * DAY}000,2,view,6,",
    )
}
TAOBAO = {
    "UserBehavior.csv": _lines(
        f"1,5,80,pv,{NOON}",
        f"1,5,80,cart,{NOON + 9}",
        f"1,5,80,buy,{NOON + DAY + 1}",
        f"1,6,80,pv,{NOON - 5}",
        f"130,5,80,fav,{NOON + 1}",
        f"130,7,81,pv,{NOON + 4 * DAY}",  # its day ends after the log
        "130,7,81,pv,1512316800",  # 4 December, 00:00 in Beijing
        "130,7,81,pv,-5",
    )
}
FILES: dict[str, Mapping[str, str]] = {
    "ali_ccp": ALI_CCP,
    "aliexpress": ALIEXPRESS,
    "kuairand": KUAIRAND,
    "retailrocket": RETAILROCKET,
    "taobao": TAOBAO,
}


def _write(folder: Path, files: Mapping[str, str], packed: bool = False) -> Path:
    for name, content in files.items():
        path = folder / (f"{name}.gz" if packed else name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    return folder


def _rows(tmp_path: Path, name: str, files: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    return _read(DATASETS[name].prepare(tmp_path / "out", _write(tmp_path / "raw", files or FILES[name])))


def _read(output: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(output.glob("log*.parquet")) for row in parquet.read_table(path).to_pylist()]


# === Ali-CCP ===


def test_ali_ccp(tmp_path: Path) -> None:
    rows = {(row["split"] == "test", row["item_id"]): row for row in _rows(tmp_path, "ali_ccp")}
    assert len(rows) == 6
    first = rows[False, "4445041"]
    assert {name: value for name, value in first.items() if value is not None and name != "split"} == {
        "click": 1, "buy": 0, "item_id": "4445041", "brand": "9038159", "intentions": ["9070921", "9070922"],
        "user_id": "u1", "profile_category": "3", "past_categories": ["c2", "c1"],  # the larger count first
    }  # fmt: skip
    assert (rows[False, "i2"]["user_id"], rows[False, "i2"]["cross_category"]) == ("u2", "x")
    assert rows[False, "i4"]["user_id"] is None
    assert rows[False, None]["user_id"] == "u2"
    assert rows[True, "i2"]["user_id"] == "u3"
    assert rows[False, "i2"]["split"] == rows[False, "i3"]["split"]  # one request


def test_ali_ccp_keeps_requests_together_and_a_tenth_for_validation(tmp_path: Path) -> None:
    files = dict(ALI_CCP)
    requests = [f"r{n}" for n in range(400)]
    files["sample_train/common_features_train.csv"] = _lines(
        *(f"{request},2," + _features(("101", f"u{request}", 1.0), ("122", request, 1.0)) for request in requests)
    )
    files["sample_train/sample_skeleton_train.csv"] = _lines(
        *(f"{n},0,0,{request},1," + _features(("205", "i", 1.0)) for request in requests for n in range(3))
    )
    rows = [row for row in _rows(tmp_path, "ali_ccp", files) if row["split"] != "test"]
    assert len(rows) == 1200
    assert all(row["user_id"] == f"u{row['profile_group']}" for row in rows)
    valid = {row["user_id"] for row in rows if row["split"] == "valid"}
    assert valid.isdisjoint({row["user_id"] for row in rows if row["split"] == "train"})
    assert 20 < len(valid) < 65


def test_ali_ccp_keeps_the_largest_counts(tmp_path: Path) -> None:
    files = dict(ALI_CCP)
    many = [("110_14", f"s{n}", float(n)) for n in range(60)]
    files["sample_test/common_features_test.csv"] = _lines("t,60," + _features(("101", "u", 1.0), *many))
    [row] = [row for row in _rows(tmp_path, "ali_ccp", files) if row["split"] == "test"]
    assert row["past_shops"] == [f"s{n}" for n in range(59, 39, -1)]


def test_ali_ccp_rows_that_contradict_are_rejected_with_their_reason(tmp_path: Path) -> None:
    output = DATASETS["ali_ccp"].prepare(tmp_path / "out", _write(tmp_path / "raw", ALI_CCP))
    problem = DATASETS["ali_ccp"].problem
    manifest = preprocess(problem, [str(output)], str(tmp_path / "data"), num_shards=1)
    assert manifest["rows_rejected"] == {
        "column 'user_id' (the user) is missing": 1,
        "label of task 'buy' is 1 while its parent 'click' is 0": 1,
    }
    assert manifest["rows_written"] == 4


@pytest.mark.parametrize("line", ["1,0,0,a", "1,0,0,a,1,205:4:1", "no comma"])
def test_ali_ccp_lines_of_another_form(tmp_path: Path, line: str) -> None:
    files = ALI_CCP | {"sample_train/sample_skeleton_train.csv": _lines(line)}
    with pytest.raises(ValueError, match=r"'sample_skeleton_train\.csv', line 1 must be 6 parts joined by commas"):
        _rows(tmp_path, "ali_ccp", files)
    assert not (tmp_path / "out" / "problem.yaml").exists()


# === AliExpress ===


def test_aliexpress(tmp_path: Path) -> None:
    rows = _rows(tmp_path, "aliexpress")
    assert len(rows) == 81
    assert rows[0]["search_id"] == 0
    assert (rows[0]["categorical_16"], rows[2]["click"], rows[2]["conversion"]) == (15, 1, 1)
    assert rows[0]["numerical_63"] == pytest.approx(62 / 63)
    assert [row["split"] for row in rows[:80:2]] == [row["split"] for row in rows[1:80:2]]  # searches stay together
    assert 0 < sum(row["split"] == "valid" for row in rows) < 30
    assert rows[-1]["split"] == "test"


# === KuaiRand ===


def test_kuairand(tmp_path: Path) -> None:
    random, standard = _rows(tmp_path, "kuairand")
    assert standard == {
        "user_id": 7, "video_id": 20, "time_ms": _LATE, "duration_seconds": pytest.approx(14.233),
        "click": 1, "long_view": 1, "like": 1, "follow": 0, "comment": 1, "forward": 0, "profile_enter": 0, "hate": 0,
        "watch_seconds": pytest.approx(43.454), "tab": 1, "is_rand": 0,
    }  # fmt: skip
    shown = [random[name] for name in ("duration_seconds", "watch_seconds", "is_rand", "tab", "hate")]
    assert shown == [None, 180.0, 1, 4, 1]


# === RetailRocket ===


def test_retailrocket(tmp_path: Path) -> None:
    rows = _rows(tmp_path, "retailrocket")
    shown = ("user_id", "behavior", "timestamp", "cart", "buy", "is_example")
    assert [tuple(row[name] for name in shown) for row in rows] == [
        (1, "view", NOON, 1, 1, 1),
        (1, "cart", NOON + 9, None, None, 0),
        (1, "view", NOON + 20, 0, 1, 1),
        (1, "buy", NOON + 30, None, None, 0),
        (2, "view", NOON + 40, 0, 0, 1),
        (2, "view", NOON + 9 * DAY, None, None, 0),
    ]


# === Taobao ===


def test_taobao(tmp_path: Path) -> None:
    rows = _rows(tmp_path, "taobao")
    shown = ("user_id", "item_id", "behavior", "fav", "cart", "buy", "is_example")
    assert sorted(tuple(str(row[name]) for name in shown) for row in rows) == [
        ("1", "5", "buy", "None", "None", "None", "0"),
        ("1", "5", "cart", "None", "None", "None", "0"),
        ("1", "5", "pv", "0", "1", "0", "1"),  # bought a second after the day
        ("1", "6", "pv", "0", "0", "0", "1"),
        ("130", "5", "fav", "None", "None", "None", "0"),
        ("130", "7", "pv", "None", "None", "None", "0"),
    ]


# === All ===


@pytest.mark.parametrize("name", FILES)
def test_the_problem_file_fits_the_rows(tmp_path: Path, name: str) -> None:
    names = set(_rows(tmp_path, name)[0])
    problem = DATASETS[name].problem
    assert problem.name == name
    assert set(columns.raw_columns(problem)) <= names


@pytest.mark.parametrize("name", ["ali_ccp", "aliexpress", "kuairand", "taobao"])
def test_packed_files_and_small_output_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    plain = _rows(tmp_path, name)
    monkeypatch.setattr("tfmtl.pipelines.datasets.streamed_dataset.ROWS_PER_FILE", 1)
    output = DATASETS[name].prepare(tmp_path / "out", _write(tmp_path / "packed", FILES[name], packed=True))
    assert _read(output) == plain
    assert not list(output.glob("scratch*"))
    monkeypatch.undo()
    DATASETS[name].prepare(tmp_path / "out", tmp_path / "packed")
    assert [path.name for path in sorted(output.iterdir())] == ["log-00000.parquet", "problem.yaml"]


@pytest.mark.parametrize("name", ["ali_ccp", "aliexpress", "kuairand", "taobao"])
def test_a_cut_off_file(tmp_path: Path, name: str) -> None:
    raw = _write(tmp_path / "raw", FILES[name], packed=True)
    file = sorted(raw.rglob("*.gz"))[0]
    file.write_bytes(file.read_bytes()[:-12])
    with pytest.raises(ValueError, match=f"^datasets: '{re.escape(file.name)}' cannot be read: "):
        DATASETS[name].prepare(tmp_path / "out", raw)


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_fetched(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        FetchError, match=rf"^datasets: '{name}' cannot be downloaded automatically\. It is at |KuaiRand is at "
    ):
        DATASETS[name].prepare(tmp_path / "out")


def test_two_files_of_one_name(tmp_path: Path) -> None:
    raw = _write(tmp_path / "raw", ALIEXPRESS)
    _write(raw / "again", ALIEXPRESS)
    with pytest.raises(FetchError, match=r"2 files are called train\.csv: .*/AliExpress_NL/train\.csv, .*/again/"):
        DATASETS["aliexpress"].prepare(tmp_path / "out", raw)


def test_taobao_of_another_data_set(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"behavior must be one of .* Received: 'view'"):
        _rows(tmp_path, "taobao", {"UserBehavior.csv": f"1,5,80,view,{NOON}\n"})


def test_rows_of_a_key_meet_in_one_bucket(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 50, 1000)
    with RowBuckets(tmp_path / "buckets", 7) as buckets:
        for start in range(0, 1000, 100):
            part = slice(start, start + 100)
            batch = pa.record_batch({"key": keys[part], "row": np.arange(1000)[part]})
            buckets.add(batch, keys[part])
    found = dict(buckets.read())
    assert sum(table.num_rows for table in found.values()) == 1000
    for bucket, table in found.items():
        assert set(table["key"].to_numpy() % 7) == {bucket}
        rows = table["row"].to_numpy()
        assert np.all(np.diff(rows) > 0)  # in the order of adding
        assert np.array_equal(keys[rows], table["key"].to_numpy())
    assert buckets.bucket(3) is not None
    with RowBuckets(tmp_path / "none", 2) as empty:
        pass
    assert list(empty.read()) == []
