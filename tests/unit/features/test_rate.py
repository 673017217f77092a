"""Rates against what their words say, row by row in plain Python; and a log whose tomorrow tells the label."""

import base64
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import tensorflow as tf

from tests.support.plain_run import run_plan
from tfmtl.data import PreparedData
from tfmtl.data.example_spec import parse_encoded_examples, raw_signature
from tfmtl.data.raw_transform import RawTransform
from tfmtl.export.raw_batch import to_tensors
from tfmtl.features.behaviors import derive_together
from tfmtl.features.rate_tables import FoundValues, RateCells
from tfmtl.metrics import roc_auc
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.fitting.folds import folds
from tfmtl.proposal.entry import Entry
from tfmtl.proposal.guess_rates import guess_rates
from tfmtl.schema import (
    BinaryTask,
    CategoricalFeature,
    HistoryFeature,
    Keys,
    LabelWindow,
    MatchFeature,
    NumericFeature,
    Problem,
    ProblemError,
    RateFeature,
    RegressionTask,
    SequenceFeature,
    Split,
)

DAY = 86_400


def _problem(*rates: RateFeature, **changes: Any) -> Problem:
    parts: dict[str, Any] = {
        "name": "shop",
        "keys": Keys(user="user", time="time", group="row"),
        "features": (
            CategoricalFeature("item", side="item", min_count=50),
            CategoricalFeature("tags", multi_valued=True),
            NumericFeature("price"),
            *rates,
        ),
        "tasks": (BinaryTask("click", known_at_event=True), BinaryTask("buy"), RegressionTask("amount")),
        "split": Split(by="column", column="part"),
    }
    return Problem(**{**parts, **changes})


def _log(rows: int, label: Callable[[np.ndarray, np.ndarray], np.ndarray], seed: int = 0) -> pa.Table:
    """Twenty items on ten days; the last two days are for validation and test."""
    generator = np.random.default_rng(seed)
    times = np.sort(generator.integers(0, 10 * DAY, rows))
    items = generator.integers(0, 20, rows)
    clicks = label(items, times // DAY)
    return pa.table(
        {
            "row": [f"r{row}" for row in range(rows)],
            "user": [f"u{user}" for user in generator.integers(0, 30, rows)],
            "item": pa.array([f"i{item}" for item in items], mask=generator.random(rows) < 0.05),
            "tags": ["a"] * rows,
            "price": generator.integers(0, 3, rows).astype(float),
            "time": times,
            "click": pa.array(clicks.astype(float), mask=generator.random(rows) < 0.1),
            "buy": clicks,
            "amount": clicks.astype(float),
            "part": np.array(["train"] * 8 + ["valid", "test"])[times // DAY],
        }
    )


def _coins(items: np.ndarray, days: np.ndarray) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 2, len(items))


def _prepared(folder: Path, problem: Problem, log: pa.Table, **options: Any) -> PreparedData:
    folder.mkdir(parents=True, exist_ok=True)
    parquet.write_table(log, folder / "log.parquet")
    run_plan(problem, [folder / "log.parquet"], folder / "data", **options)
    return PreparedData(folder / "data")


def _numbers(data: PreparedData, name: str, split: str) -> dict[str, tuple[float, int]]:
    """Group of a row, which is its name -> number and bucket."""
    found = {}
    for features, _, groups in data.split(split, 4096):
        values, ids = features[f"{name}__x"].numpy(), features[f"{name}__id"].numpy()
        found |= {group.decode(): (float(x), int(n)) for group, x, n in zip(groups.numpy(), values, ids, strict=True)}
    return found


def _odds(ones: float, labels: float, mean: float, prior: float) -> float:
    rate = (ones + prior * mean) / (labels + prior)
    return (math.log(rate / (1 - rate)) - math.log(mean / (1 - mean))) / 2


def test_a_row_reads_the_days_before_its_own(tmp_path: Path) -> None:
    rates = (
        RateFeature("item", "click", prior=5.0),
        RateFeature("item", "click", name="late", prior=5.0, known_after=2),
        RateFeature("price", "click", name="elsewhere", prior=5.0, time_zone="Asia/Tokyo"),
    )
    log = _log(600, _coins)
    data = _prepared(tmp_path, _problem(*rates), log)
    rows = [row for row in log.to_pylist() if row["click"] is not None]
    training = [row for row in rows if row["part"] == "train"]
    for name, of, lag, shift in (
        ("item_click_rate", "item", 0, 0),
        ("late", "item", 2, 0),
        ("elsewhere", "price", 0, 9),
    ):
        mean = np.mean([row["click"] for row in training if row[of] is not None])
        day = lambda row, shift=shift: (row["time"] + shift * 3600) // DAY  # noqa: E731
        for split in ("train", "valid", "test"):
            found = _numbers(data, name, split)
            for row in (row for row in log.to_pylist() if row["part"] == split):
                number, bucket = found[row["row"]]
                if row[of] is None:
                    assert (number, bucket) == (0.0, 0)
                    continue
                known = [other["click"] for other in training if other[of] == row[of]]
                if split == "train":
                    known = [
                        other["click"] for other in training if other[of] == row[of] and day(other) + lag < day(row)
                    ]
                odds = _odds(sum(known), len(known), mean, 5.0)
                assert number == pytest.approx(odds, abs=1e-6)
                assert bucket == 2 + 32 + math.floor(2 * odds * 4 + 0.5)


def test_a_mean_of_numbers_reads_the_days_before_its_own(tmp_path: Path) -> None:
    log = _log(600, _coins)
    amounts = np.round(np.random.default_rng(3).lognormal(3.0, 1.0, 600), 2)
    log = log.set_column(log.schema.get_field_index("amount"), "amount", pa.array(amounts, mask=amounts < 5.0))
    problem = _problem(RateFeature("item", "amount", prior=4.0, known_after=0))
    data = _prepared(tmp_path, problem, log)
    training = [row for row in log.to_pylist() if row["part"] == "train" and row["amount"] is not None]
    mean = np.mean([row["amount"] for row in training if row["item"]])
    for split in ("train", "valid", "test"):
        found = _numbers(data, "item_amount_rate", split)
        for row in (row for row in log.to_pylist() if row["part"] == split):
            number, bucket = found[row["row"]]
            if row["item"] is None:
                assert (number, bucket) == (0.0, 0)
                continue
            is_known = lambda other, row=row, split=split: split != "train" or other["time"] // DAY < row["time"] // DAY  # noqa: E731
            known = [other["amount"] for other in training if other["item"] == row["item"] and is_known(other)]
            beyond = (sum(known) + 4.0 * mean) / (len(known) + 4.0) - mean
            assert number == pytest.approx(math.copysign(math.log1p(abs(beyond)) / 8, beyond), abs=1e-5)
            assert bucket > 1 and (beyond == 0.0 or (bucket > 2 + 83) == (beyond > 0.0))
    # A table reads the mean back, and a request is encoded as its record was.
    requests = data.requests()
    encoded = data.transform()(to_tensors([each["features"] for each in requests], raw_signature(problem)))
    for key, values in parse_encoded_examples(problem, tf.constant([each["record"] for each in requests]))[0].items():
        np.testing.assert_array_equal(values, encoded[key], err_msg=key)


def test_a_label_too_large_to_be_summed_stops_the_job(tmp_path: Path) -> None:
    log = _log(50, _coins)
    log = log.set_column(log.schema.get_field_index("amount"), "amount", pa.array([1.0, 3e7] + [1.0] * 48))
    problem = _problem(RateFeature("price", "amount", known_after=0))
    with pytest.raises(ProblemError, match=r"labels of task 'amount' must lie between .* Received: 30,000,000"):
        _prepared(tmp_path, problem, log)


def _one_a_day(items: np.ndarray, days: np.ndarray) -> np.ndarray:
    """A coin a day and item: what was before says nothing, what is of the same day everything."""
    return np.random.default_rng(5).integers(0, 2, (20, 10))[items, days]


def _clock_auc(folder: Path) -> float:
    log = _log(6000, _one_a_day)
    found = _numbers(_prepared(folder, _problem(RateFeature("item", "click")), log), "item_click_rate", "train")
    rows = [row for row in log.to_pylist() if row["part"] == "train" and row["click"] is not None]
    auc = roc_auc(np.array([row["click"] for row in rows]), np.array([found[row["row"]][0] for row in rows]))
    return max(auc, 1 - auc)


def test_what_is_of_the_same_day_or_later_tells_nothing(tmp_path: Path) -> None:
    assert _clock_auc(tmp_path) < 0.56


def test_a_rate_that_reads_its_own_day_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = FoundValues.before
    monkeypatch.setattr(FoundValues, "before", lambda self, cells: before(self, cells + 1))
    assert _clock_auc(tmp_path) > 0.65


def test_without_times_a_row_reads_the_other_folds(tmp_path: Path) -> None:
    problem = _problem(RateFeature("item", "click", prior=3.0), keys=Keys(group="row"))
    log = _log(400, _coins)
    data = _prepared(tmp_path, problem, log)
    place = pa.table({columns.FILE: np.zeros(400, np.int64), columns.ROW: np.arange(400)})
    fold = folds(place)
    rows = list(zip(log.to_pylist(), fold, strict=True))
    known = [(row, n) for row, n in rows if row["click"] is not None and row["part"] == "train" and row["item"]]
    mean = np.mean([row["click"] for row, _ in known])
    for split in ("train", "test"):
        found = _numbers(data, "item_click_rate", split)
        for row, own in ((row, n) for row, n in rows if row["part"] == split and row["item"]):
            others = [x["click"] for x, n in known if x["item"] == row["item"] and (n != own or split == "test")]
            assert found[row["row"]][0] == pytest.approx(_odds(sum(others), len(others), mean, 3.0), abs=1e-6)
    # Of training rows, too, what is kept as a request has the record that its request gives.
    requests = data.requests()
    encoded = data.transform()(to_tensors([each["features"] for each in requests], raw_signature(problem)))
    records = tf.constant([each["record"] for each in requests])
    for key, values in parse_encoded_examples(problem, records)[0].items():
        np.testing.assert_array_equal(values, encoded[key], err_msg=key)


def test_a_graph_and_single_operations_write_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = _problem(
        RateFeature("item", "click"), HistoryFeature("seen", mean=("price",)), MatchFeature("seen", ("item",)),
        sequences=(SequenceFeature("seen", ("item", "price"), max_length=3),),
    )  # fmt: skip
    written = []
    graph = lambda behaviors, view: tf.function(lambda: derive_together(behaviors, view), autograph=False)()  # noqa: E731
    for name, derive in (("single", derive_together), ("graph", graph)):
        monkeypatch.setattr("tfmtl.preprocessing.writing.derivation.derive_together", derive)
        data = _prepared(tmp_path / name, problem, _log(500, _coins))
        written.append([path.read_bytes() for path in sorted(data.directory.glob("*/part*"))])
    assert written[0] == written[1] and any(written[0])


def test_another_day_adds_its_labels(tmp_path: Path) -> None:
    log, problem = _log(400, _coins), _problem(RateFeature("item", "click"))
    second = log.slice(200)
    data = _prepared(tmp_path / "one", problem, log)
    options = {"transform_from": str(data.directory), "extend_vocabularies": True}
    grown = _prepared(tmp_path / "two", problem, second, **options)
    cells = {}
    for name, each in (("one", data), ("two", grown)):
        parts = each.statistics.states["item_click_rate"], each.statistics.training["item_click_rate"]
        cells[name] = RateCells.from_plain(*parts)
    added = [row for row in second.to_pylist() if row["click"] is not None and row["item"] and row["part"] == "train"]
    assert int(cells["two"].parts[:, 0].sum() - cells["one"].parts[:, 0].sum()) == len(added)
    assert grown.statistics.extends == (data.statistics.digest,)
    state = grown.statistics.states["item_click_rate"]
    assert state["mean"] == pytest.approx(cells["two"].mean("click"))
    # What only training rows are written with stands apart: an export holds the sums alone.
    assert "training" not in json.loads(data.fitted.statistics.read_text()) and data.fitted.training.is_file()
    bare = replace(data.statistics, training={})
    assert bare.digest == data.statistics.digest


def test_rates_of_one_table_are_those_that_each_has_alone(tmp_path: Path) -> None:
    """Tasks lack labels in different rows, and two rates of one task know of different days."""
    log = _log(400, _coins)
    amounts = pa.array(np.arange(400.0), mask=np.arange(400) % 3 == 0)
    log = log.set_column(log.schema.get_field_index("amount"), "amount", amounts)
    rates = (
        RateFeature("item", "click", prior=5.0),
        RateFeature("item", "click", name="late", known_after=2),
        RateFeature("item", "amount", known_after=0),
        RateFeature("item", "click", name="tokyo", time_zone="Asia/Tokyo"),
        RateFeature("price", "click", name="of_price"),
    )
    together = _prepared(tmp_path / "all", _problem(*rates), log)
    assert sorted(together.statistics.training) == ["item_click_rate", "of_price", "tokyo"]
    for rate in rates:
        alone = _prepared(tmp_path / rate.name, _problem(rate), log)
        for split in ("train", "test"):
            assert _numbers(alone, rate.name, split) == _numbers(together, rate.name, split), rate.name


def _as_before(data: PreparedData, rates: tuple[RateFeature, ...]) -> None:
    """Writes the statistics of rates of one table as an earlier version did: a table for each, of int64."""
    first = rates[0].name
    states, training = dict(data.statistics.states), {}
    cells = RateCells.from_plain(states[first], data.statistics.training[first])
    for rate in rates:
        state = {"mean": states[rate.name]["mean"]}
        for place, table in ((state, cells.total()), (training.setdefault(rate.name, {}), cells)):
            count, total = table.places(rate.task)
            some = table.parts[:, count] > 0
            columns = table.value, table.cell, table.parts[:, count], table.parts[:, total]
            for name, column in zip(("value", "cell", "count", "sum_label"), columns, strict=True):
                place[name] = base64.b64encode(column[some].astype("<i8").tobytes()).decode()
        states[rate.name] = state
    replace(data.statistics, states=states, training=training).save(data.fitted.directory)


def test_tables_of_an_earlier_version_are_read(tmp_path: Path) -> None:
    log = _log(400, _coins)
    rates = RateFeature("item", "click"), RateFeature("item", "buy", known_after=1)
    problem = _problem(*rates)
    data = _prepared(tmp_path / "new", problem, log)
    raw = to_tensors([each["features"] for each in data.requests()], raw_signature(problem))
    encoded = data.transform()(raw)
    written = {}
    for name in ("new", "old"):
        again = _prepared(tmp_path / f"again_{name}", problem, log, transform_from=str(data.directory))
        options = {"transform_from": str(data.directory), "extend_vocabularies": True}
        grown = _prepared(tmp_path / f"grown_{name}", problem, log, **options)
        written[name] = [
            path.read_bytes() for each in (again, grown) for path in sorted(each.directory.glob("*/part*"))
        ]
        _as_before(data, rates)
    assert written["new"] == written["old"] and written["new"][0]
    for key, values in RawTransform(problem, data.fitted.directory)(raw).items():
        np.testing.assert_array_equal(values, encoded[key], err_msg=key)


@pytest.mark.parametrize(
    ("rate", "changes", "said"),
    [
        (RateFeature("itm", "click"), {}, "must be a feature with one value. There are: .*Did you mean 'item'"),
        (RateFeature("tags", "click"), {}, "is `of` 'tags', which must be a feature with one value"),
        (RateFeature("item", "amont"), {}, "must be of yes and no or of numbers. There are: .*Did you mean 'amount'"),
        (RateFeature("item", "amount"), {}, "must say when the label of task 'amount' is known: `known_after: 0`"),
        (RateFeature("item", "buy"), {}, "must say when the label of task 'buy' is known: `known_after: 0`"),
        (RateFeature("item", "click", known_after=1), {"keys": Keys()}, "has no days without `keys.time`"),
        (
            RateFeature("item", "again", known_after=1),
            {
                "tasks": (BinaryTask("again", label_window=LabelWindow("click == 1", 24)),),
                "sequences": (SequenceFeature("seen", ("item",)),),
            },
            "must not be of task 'again', whose `label_window` is joined only after everything is fitted",
        ),
    ],
)
def test_what_cannot_be_is_refused(rate: RateFeature, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ProblemError, match=said):
        _problem(rate, **changes)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prior": 0.0}, "`prior` must be positive and finite"),
        ({"known_after": -1}, "`known_after`"),
        ({"time_zone": "Mars"}, "`time_zone` must be a name of the IANA"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ProblemError, match=said):
        RateFeature("item", "click", **options)


def test_infer_proposes_rates_of_user_and_item() -> None:
    features = [
        Entry({"kind": "categorical", "name": "item"}, ""),
        Entry({"kind": "categorical", "name": "user", "multi_valued": True}, ""),
        Entry({"kind": "numeric", "name": "item_buy_rate"}, ""),
    ]
    tasks = [Entry({"kind": "binary", "name": name}, "") for name in ("click", "buy")]
    tasks.append(Entry({"kind": "regression", "name": "amount"}, ""))
    found = [dict(each.values) for each in guess_rates(features, tasks, ("user", "item", None), has_time=True)]
    assert found == [
        {"kind": "rate", "of": "item", "task": "click", "enters": "once", "known_after": 1},
        {
            "kind": "rate",
            "of": "item",
            "task": "buy",
            "enters": "once",
            "known_after": 1,
            "name": "item_buy_rate_before",
        },
        {"kind": "rate", "of": "item", "task": "amount", "enters": "once", "known_after": 1},
    ]
    assert "known_after" not in guess_rates(features, tasks, ("item",), has_time=False)[0].values
