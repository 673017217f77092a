"""What the job writes, against the definition and against independent counts."""

import base64
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support.slow_history import Row, events_before
from tests.support.small_log import SMALL_PROBLEM, records, run, small_log, values, write_csv
from tfmtl.data import PreparedData
from tfmtl.data.example_spec import parse_encoded_examples, raw_signature
from tfmtl.preprocessing.writing.shard_writer import NUM_REQUESTS
from tfmtl.schema import Keys, Problem, Split

SPLITS = ("train", "valid", "test")


def _examples(folder: Path) -> dict[str, dict[str, dict[str, list[Any]]]]:
    """Split -> row -> what its example holds."""
    return {
        split: {row["key:group"][0].decode(): row for row in map(values, records(folder, split))} for split in SPLITS
    }


@pytest.fixture(scope="module", params=[False, True], ids=["unlike times", "ties"])
def job(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Row], Path, Any]:
    """A log out of order, the output folder and the manifest."""
    folder = tmp_path_factory.mktemp("job")
    rows = small_log(400, ties=request.param, seed=1)
    return rows, folder / "out", run(folder / "out", write_csv(folder / "log.csv", rows))


def _split_of(rows: Sequence[Row], valid: float, test: float) -> dict[str, str]:
    """Row -> split by time, from the definition: the newest rows, at most that share, whole times together."""
    shown = [row for row in rows if row["shown"]]
    times = sorted({row["ts"] for row in shown})

    def first(share: float) -> float:
        fits = [time for time in times if sum(row["ts"] >= time for row in shown) <= share * len(shown)]
        return min(fits, default=math.inf)

    valid_from, test_from = first(valid + test), first(test)
    return {row["row"]: SPLITS[(row["ts"] >= valid_from) + (row["ts"] >= test_from)] for row in rows}


def _id(vocabulary: Sequence[str], value: str | None) -> int:
    return 0 if not value else vocabulary.index(value) + 2 if value in vocabulary else 1


def _bucket(boundaries: Sequence[float], value: int | None) -> int:
    return 0 if value is None else 2 + sum(boundary <= value for boundary in boundaries)


def test_every_example_holds_what_its_log_says(job: tuple[list[Row], Path, Any]) -> None:
    rows, folder, _ = job
    split_of = _split_of([{**row, "ts": row["ts"] // 128 * 128} for row in rows], 0.2, 0.2)
    training = [row for row in rows if split_of[row["row"]] == "train"]
    counted = {
        "user": Counter(row["user"] for row in training),
        "item": Counter(row["item"] for row in training if row["item"]),
        "tags": Counter(tag for row in training for tag in row["tags"][:2]),
    }
    known = {}
    for table, counter in counted.items():
        frequent = [value for value, count in counter.items() if count >= 1 + (table == "item")]
        known[table] = sorted(frequent, key=lambda value: (-counter[value], value))
    boundaries = PreparedData(folder).statistics.boundaries["age"]
    prices = np.array([np.float32(row["price"]) for row in training], np.float64)
    examples = _examples(folder)
    assert {row: split for split in SPLITS for row in examples[split]} == {
        row["row"]: split_of[row["row"]] for row in rows if row["shown"]
    }
    for index, row in enumerate(rows):
        if not row["shown"]:
            continue
        seen = [rows[i] for i in events_before(rows, index, lambda event: event["item"] is not None)][-4:]
        bought = [rows[i] for i in events_before(rows, index, lambda event: bool(event["item"] and event["buy"]))][-3:]
        example = dict(examples[split_of[row["row"]]][row["row"]])
        price, watch = example.pop("price"), example.pop("label:watch", [None])
        expected = {
            "key:group": [row["row"].encode()],
            "user": [_id(known["user"], row["user"])],
            "item": [_id(known["item"], row["item"])],
            "tags": [_id(known["tags"], tag) for tag in row["tags"][:2]],
            "age": [_bucket(boundaries, row["age"])],
            "label:click": [row["click"]],
            "label:buy": [row["buy"]],
            "seen__item": [_id(known["item"], event["item"]) for event in seen],
            "seen__age": [_bucket(boundaries, event["age"]) for event in seen],
            "seen__gap": [2 + min(7, (row["ts"] - event["ts"]).bit_length()) for event in seen],
            "bought__item": [_id(known["item"], event["item"]) for event in bought],
        }
        assert example == expected, row
        # Moments come from numbers of 16 significant bits.
        np.testing.assert_allclose(price, [(row["price"] - prices.mean()) / prices.std()], rtol=1e-4, atol=1e-4)
        seconds = row["seconds"] if row["click"] == 1 else None
        assert watch == [None if seconds is None else float(np.float32(seconds))]


def test_the_manifest_against_independent_counts(job: tuple[list[Row], Path, Any]) -> None:
    rows, folder, manifest = job
    assert manifest == json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    examples = _examples(folder)
    assert manifest["rows_in"] == len(rows)
    assert manifest["rows_written"] == sum(map(len, examples.values())) == sum(row["shown"] for row in rows)
    assert manifest["rows_history_only"] == sum(1 - row["shown"] for row in rows)
    assert manifest["rows_rejected"] == {}
    assert manifest["fingerprint"] == SMALL_PROBLEM.fingerprint
    by_name = {row["row"]: row for row in rows}
    for split, facts in manifest["splits"].items():
        assert facts["examples"] == len(examples[split]) > 0
        logged = [by_name[name] for name in examples[split]]
        labels = {
            "click": [row["click"] for row in logged],
            "buy": [row["buy"] for row in logged],
            "watch": [row["seconds"] for row in logged if row["click"] == 1 and row["seconds"] is not None],
        }
        for task, present in labels.items():
            assert facts["tasks"][task]["labels"] == len(present)
            assert facts["tasks"][task]["mean"] == pytest.approx(np.mean(present), rel=1e-6)
        for feature in ("user", "item"):
            ids = [example[feature][0] for example in examples[split].values()]
            assert facts["features"][feature] == {
                "out_of_vocabulary": ids.count(1) / len(ids), "missing": ids.count(0) / len(ids),
            }  # fmt: skip
        assert set(facts["features"]) == {"user", "item"}
    written = {str(path.relative_to(folder)): path for split in SPLITS for path in (folder / split).iterdir()}
    assert manifest["files"] == {
        name: {"records": sum(1 for _ in tf.data.TFRecordDataset(str(path))), "bytes": path.stat().st_size}
        for name, path in sorted(written.items())
    }
    vocabularies = {
        table: (folder / "transform" / "vocabularies" / f"{table}.txt").read_text(encoding="utf-8").count("\n")
        for table in ("user", "item", "tags")
    }
    boundaries = json.loads((folder / "transform" / "statistics.json").read_text())["boundaries"]["age"]
    assert manifest["tables"] == {**{t: n + 2 for t, n in vocabularies.items()}, "age": len(boundaries) + 3}


def test_kept_requests_answer_as_their_records(job: tuple[list[Row], Path, Any]) -> None:
    _, folder, _ = job
    data = PreparedData(folder)
    requests = data.requests()
    everything = {record for split in SPLITS for record in records(folder, split)}
    assert NUM_REQUESTS <= len(requests) <= NUM_REQUESTS + 3
    assert all(request["record"] in everything for request in requests)
    newest = {row["record"] for row in requests} & set(records(folder, "test"))
    in_shards = [facts["records"] for name, facts in data.manifest["files"].items() if name.startswith("test/")]
    assert len(newest) == sum(min(count, -(-NUM_REQUESTS // 3)) for count in in_shards)  # the newest split comes first
    transform = data.transform()
    for request in requests[:12]:
        raw = {
            name: tf.constant([request["features"][name]], spec.dtype, shape=_shape(request["features"][name]))
            for name, spec in raw_signature(data.problem).items()
        }
        expected, _, _ = parse_encoded_examples(data.problem, tf.constant([request["record"]]))
        for name, tensor in transform(raw).items():
            assert tensor.numpy().tobytes() == expected[name].numpy().tobytes(), name


def _shape(value: Any) -> tuple[int, ...]:
    return (1, len(value)) if isinstance(value, list) else (1,)


def test_requests_are_json_lines(job: tuple[list[Row], Path, Any]) -> None:
    _, folder, _ = job
    for line in (folder / "requests.jsonl").read_text(encoding="utf-8").split("\n")[:-1]:
        request = json.loads(line)
        assert set(request) == {"features", "record"}
        assert "key:group" in values(base64.b64decode(request["record"]))


# === Splits ===


def _run(tmp_path: Path, problem: Problem, rows: Sequence[Mapping[str, Any]], **options: Any) -> dict[str, set[str]]:
    """Split -> rows of it."""
    run(tmp_path / "out", write_csv(tmp_path / "log.csv", rows), problem=problem, **options)
    return {split: set(examples) for split, examples in _examples(tmp_path / "out").items()}


def test_split_by_given_times(tmp_path: Path) -> None:
    rows = small_log(ties=True)
    cuts = 1_600_000_000 + 997 * 20, 1_600_000_000 + 997 * 31
    written = _run(tmp_path, replace(SMALL_PROBLEM, split=Split(valid_from=cuts[0], test_from=cuts[1])), rows)
    for split, low, high in (("train", 0, cuts[0]), ("valid", *cuts), ("test", cuts[1], math.inf)):
        assert written[split] == {row["row"] for row in rows if row["shown"] and low <= row["ts"] < high}


def test_split_by_user(tmp_path: Path) -> None:
    rows = [{**row, "user": f"u{i % 90}"} for i, row in enumerate(small_log(360))]
    problem = replace(SMALL_PROBLEM, split=Split(by="user", valid=0.2, test=0.3))
    written = _run(tmp_path, problem, rows)
    user_of = {row["row"]: row["user"] for row in rows}
    users = {split: {user_of[row] for row in names} for split, names in written.items()}
    assert sum(map(len, users.values())) == 90  # no user is in two splits
    assert abs(len(users["valid"]) - 18) < 12
    assert abs(len(users["test"]) - 27) < 13
    assert _run(tmp_path, problem, rows[::-1]) == written
    assert _run(tmp_path, problem, rows, seed=1) != written


def test_split_by_row(tmp_path: Path) -> None:
    rows = small_log(360)
    problem = replace(SMALL_PROBLEM, split=Split(by="row", valid=0.2, test=0.3), examples=None)
    written = _run(tmp_path, problem, rows)
    assert sum(map(len, written.values())) == 360
    assert abs(len(written["valid"]) - 72) < 27  # 3.5 standard deviations
    assert abs(len(written["test"]) - 108) < 31
    assert _run(tmp_path, problem, rows, num_shards=2) == written
    assert _run(tmp_path, problem, rows, seed=1) != written


def test_split_by_column(tmp_path: Path) -> None:
    rows = [{**row, "part": SPLITS[index % 7 % 3]} for index, row in enumerate(small_log())]
    written = _run(tmp_path, replace(SMALL_PROBLEM, split=Split(by="column", column="part")), rows)
    for split in SPLITS:
        assert written[split] == {row["row"] for row in rows if row["shown"] and row["part"] == split}


def test_no_share_is_no_row(tmp_path: Path) -> None:
    written = _run(tmp_path, replace(SMALL_PROBLEM, split=Split(valid=0.0, test=0.0)), small_log())
    assert (len(written["valid"]), len(written["test"])) == (0, 0)


def test_milliseconds(tmp_path: Path) -> None:
    rows = small_log()
    seconds = _run(tmp_path, SMALL_PROBLEM, rows)
    gaps = {row["key:group"][0]: row["seen__gap"] for row in map(values, records(tmp_path / "out", "train"))}
    problem = replace(SMALL_PROBLEM, keys=Keys("user", "ts", "row", "ms"))
    scaled = [{**row, "ts": 1000 * row["ts"]} for row in rows]
    milliseconds = _run(tmp_path, problem, scaled)
    assert set().union(*milliseconds.values()) == set().union(*seconds.values())
    common = milliseconds["train"] & seconds["train"]
    after = {row["key:group"][0]: row["seen__gap"] for row in map(values, records(tmp_path / "out", "train"))}
    assert len(common) > 100
    assert all(after[row.encode()] == gaps[row.encode()] for row in common)
