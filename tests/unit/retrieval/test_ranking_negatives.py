"""Negatives for the ranking: whose they are, when, and that nothing else changes."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tfmtl
from tests.support.tiny_problem import ROWS, tiny_log, tiny_problem
from tests.support.untrained_retrieval import untrained_retrieval
from tfmtl.data import PreparedData
from tfmtl.data.example_spec import candidate_tensors, parse_encoded_examples, raw_signature
from tfmtl.export.raw_batch import to_tensors
from tfmtl.export.transform_record import TransformRecord
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.writing.encode import examples_in_order
from tfmtl.retrieval import NegativeOptions, ranking_negatives, training_items
from tfmtl.retrieval.negative_plan import NegativePlan
from tfmtl.schema import SPLITS, BinaryTask, HistoryFeature, LabelWindow, MatchFeature, RateFeature

OPTIONS = NegativeOptions(count=3, candidates=12)
DAY = 86_400
WINDOWS = {"clicked": 5, "bought": 4}


def log() -> pa.Table:
    """The tiny log, over many days."""
    table = tiny_log()
    times = pa.array(600 * table["time"].to_numpy())
    return table.set_column(table.schema.get_field_index("time"), "time", times)


@pytest.fixture(scope="module")
def data() -> PreparedData:
    """With features derived of the user, of both sides and of labels, and a label that comes later."""
    plain = tiny_problem()
    derived = (HistoryFeature("clicked"), MatchFeature("clicked", ("item",)), RateFeature("item", "click"))
    again = BinaryTask("again", label_window=LabelWindow("click == 1", 24.0, same="item"))
    problem = replace(plain, features=(*plain.features, *derived), tasks=(*plain.tasks, again))
    return tfmtl.prepare(log(), problem, num_shards=2)


@pytest.fixture(scope="module")
def retrieval(data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained_retrieval(data, training_items(data, log()), tmp_path_factory.mktemp("retrieval"))


@pytest.fixture(scope="module")
def ranked(data: PreparedData, retrieval: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return ranking_negatives(data, log(), retrieval, tmp_path_factory.mktemp("ranked") / "data", OPTIONS)


@pytest.fixture(scope="module")
def table(data: PreparedData, ranked: PreparedData, retrieval: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Canonical rows of the log, then those of the negatives."""
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    pa.parquet.write_table(log(), path)
    plan = negative_plan(data, ranked, retrieval, OPTIONS)
    batches = [batch.rows for batch in plan.read(0, str(path))]
    times: dict[Any, pa.Table] = {}
    for key, counted in plan.count_times(batches[0]):
        times[key] = counted
    rows = pa.Table.from_batches([plan.assign_split(batches[0], plan.find_cuts(times))])
    assert rows.num_rows == ROWS
    return plan.shard_writer()._completed(rows, ranked.transform(), 0)


def index_of(data: PreparedData) -> list[str]:
    """The items of the index, in its order."""
    return training_items(data, log())["item"].to_pylist()


def negative_plan(data: PreparedData, ranked: PreparedData, retrieval: Path, options: NegativeOptions) -> NegativePlan:
    parts = {"logged": data.problem, "statistics": data.statistics, "retrieval": str(retrieval), "options": options}
    first = [min(row["time"] for row in log().to_pylist() if row["item"] == item) for item in index_of(data)]
    moments = ranked.statistics.means["retrieval"], ranked.statistics.deviations["retrieval"]
    return NegativePlan(ranked.problem, "", 1, first_times=np.array(first), score_moments=moments, **parts)


def examples(data: PreparedData, split: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """All features, sequences filled up to one length, and labels of a split."""
    found: list[Any] = []
    for features, labels, _ in data.split(split, 10_000):
        found.append(({key: value.numpy() for key, value in features.items()}, labels))
    [(features, labels)] = found
    return features, {key: value.numpy() for key, value in labels.items()}


def lines(features: dict[str, np.ndarray], rows: np.ndarray, names: list[str]) -> list[bytes]:
    """Every row's values as bytes."""
    return [b"|".join(np.trim_zeros(np.ravel(features[name][row])).tobytes() for name in names) for row in rows]


# === Records ===


@pytest.mark.parametrize("split", SPLITS)
def test_the_logs_examples_stay_as_they_are(data: PreparedData, ranked: PreparedData, split: str) -> None:
    before, labels = examples(data, split)
    after, new = examples(ranked, split)
    logged = np.flatnonzero(new["taken"] != 0.0)
    names = [*before, *labels]
    expected = lines({**before, **labels}, np.arange(len(labels["click"])), names)
    assert Counter(lines({**after, **new}, logged, names)) == Counter(expected)


@pytest.mark.parametrize("split", SPLITS)
def test_a_negative_is_an_example_with_another_item(data: PreparedData, ranked: PreparedData, split: str) -> None:
    features, labels = examples(ranked, split)
    found, drawn = (np.flatnonzero(labels["taken"] == label) for label in (1.0, 0.0))
    assert 0 < len(found) < data.num_examples(split) == len(labels["taken"]) - len(drawn)
    for name in data.problem.label_keys:
        assert np.isnan(labels[name][drawn]).all(), "what nobody took has no other label"
    of_user = [name for name in features if name not in candidate_tensors(ranked.problem)]
    assert any(name.startswith("clicked") for name in of_user)
    whose = Counter(lines(features, found, of_user))
    for line, count in Counter(lines(features, drawn, of_user)).items():
        assert count <= OPTIONS.count * whose[line], "a negative has the history and the time of an example"
    assert len(drawn) > 2 * len(found)


def test_nothing_is_fitted_to_negatives(data: PreparedData, ranked: PreparedData) -> None:
    own, new = data.statistics, ranked.statistics
    for name in ("vocabularies", "vocabulary_counts", "boundaries", "states", "training", "task_state"):
        assert getattr(own, name) == getattr(new, name)
    assert new.extends == (*own.extends, own.digest)
    for name in ("means", "deviations", "label_means", "label_deviations"):
        before, after = getattr(own, name), getattr(new, name)
        assert {key: after[key] for key in before} == dict(before)
        assert len(after) == len(before) + 1, "what is added: the logit, or the label"
    assert TransformRecord.of(ranked).agrees_with(TransformRecord.of(data))


def test_the_manifest_counts_them_apart(data: PreparedData, ranked: PreparedData) -> None:
    before, after = data.manifest, ranked.manifest
    for name in ("rows_in", "rows_written", "rows_history_only", "events", "rows_rejected"):
        assert before[name] == after[name]
    drawn = sum(ranked.num_examples(split) - data.num_examples(split) for split in SPLITS)
    assert after["rows_negative"] == drawn
    assert after["negatives"]["count"] == OPTIONS.count
    assert f"{drawn:,} negatives" in str(ranked.page().parts)


def test_requests_of_negatives_are_encoded_as_preprocessing_did(ranked: PreparedData) -> None:
    requests = ranked.requests()
    records = [request["record"] for request in requests]
    expected, labels, _ = parse_encoded_examples(ranked.problem, records)
    assert 0.0 < np.nanmean(labels["taken"]) < 1.0, "negatives are among them"
    raw = to_tensors([request["features"] for request in requests], raw_signature(ranked.problem))
    found = ranked.transform()(raw)
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, rtol=1e-6, err_msg=key)


def test_a_seed_draws_the_same_again(data: PreparedData, ranked: PreparedData, retrieval: Path, tmp_path: Path) -> None:
    again = ranking_negatives(data, log(), retrieval, tmp_path / "again", OPTIONS)
    other = ranking_negatives(data, log(), retrieval, tmp_path / "other", replace(OPTIONS, seed=1))
    files = [name for name in ranked.manifest["files"] if name.startswith("train/")]
    read = [[(made.directory / name).read_bytes() for name in files] for made in (ranked, again, other)]
    assert read[0] == read[1]
    assert read[0] != read[2]


# === Items ===


def test_no_negative_was_taken_then_or_later(table: pa.Table) -> None:
    rows = table.to_pylist()
    logged, drawn = rows[:ROWS], rows[ROWS:]
    assert len(drawn) > ROWS
    taken_before = 0
    for row in drawn:
        own = [each for each in logged if each[columns.USER] == row[columns.USER] and each["item"] == row["item"]]
        known = [each for each in own if each[columns.SPLIT] <= row[columns.SPLIT]]
        assert all(each[columns.TIME] < row[columns.TIME] for each in known)
        taken_before += len(known) > 0
    assert taken_before, "what was taken long ago is found by retrieval again, so it must be learned from"


def test_no_negative_is_in_a_history(table: pa.Table) -> None:
    rows = table.to_pylist()
    for row in rows[ROWS:]:
        earlier = [
            each
            for each in sorted(rows[:ROWS], key=lambda each: each[columns.TIME])
            if each[columns.USER] == row[columns.USER] and each[columns.TIME] < row[columns.TIME]
        ]
        for name, length in WINDOWS.items():
            assert row[columns.event(name)] is False
            seen = [each["item"] for each in earlier if each[columns.event(name)]][-length:]
            assert row["item"] not in seen


def test_a_row_has_no_negative_twice_and_at_most_its_count(table: pa.Table) -> None:
    drawn = table.slice(ROWS).to_pylist()
    pairs = Counter((row[columns.ROW], row["item"]) for row in drawn)
    assert set(pairs.values()) == {1}
    per_row = Counter(row[columns.ROW] for row in drawn)
    assert max(per_row.values()) == OPTIONS.count
    assert np.mean([count == OPTIONS.count for count in per_row.values()]) > 0.9


def test_a_row_counts_as_taken_where_retrieval_finds_its_item(table: pa.Table, data: PreparedData) -> None:
    """The ranking is asked about nothing else; here everybody is offered the items in the order of the index."""
    index = index_of(data)
    rows = table.to_pylist()
    logged = sorted(rows[:ROWS], key=lambda row: row[columns.TIME])
    offered, found = {}, 0
    for place, row in enumerate(logged):
        earlier = [each for each in logged[:place] if each[columns.USER] == row[columns.USER]]
        clicked, bought = ([each["item"] for each in earlier if each[columns.event(name)]] for name in WINDOWS)
        seen = {*clicked[-WINDOWS["clicked"] :], *bought[-WINDOWS["bought"] :]}
        offered[row[columns.ROW]] = [item for item in index if item not in seen][: OPTIONS.candidates]
        if row["item"] in offered[row[columns.ROW]]:
            found += 1
            assert (row[columns.label("taken")], row["retrieval"]) == (1.0, -index.index(row["item"]))
        else:
            assert row[columns.label("taken")] is row["retrieval"] is None
    assert ROWS / 10 < found < ROWS
    for row in rows[ROWS:]:
        assert row["item"] in offered[row[columns.ROW]]
        assert row["retrieval"] == -index.index(row["item"])


def test_no_negative_came_up_later(table: pa.Table) -> None:
    """Else what is new would be known for what nobody takes."""
    rows = table.to_pylist()
    for row in rows[ROWS:]:
        assert any(each["item"] == row["item"] and each[columns.TIME] <= row[columns.TIME] for each in rows[:ROWS])


def test_some_rows_may_do(table: pa.Table, data: PreparedData, ranked: PreparedData, retrieval: Path) -> None:
    plan = negative_plan(data, ranked, retrieval, replace(OPTIONS, share=0.5))
    asked = plan.shard_writer()._completed(table.slice(0, ROWS), ranked.transform(), 0).slice(0, ROWS)
    whole = table.slice(0, ROWS)[columns.label("taken")].to_pylist().count(1.0)
    assert 0.3 * whole < asked[columns.label("taken")].to_pylist().count(1.0) < 0.7 * whole


def test_without_the_logit_there_is_one_task_more(data: PreparedData, retrieval: Path, tmp_path: Path) -> None:
    plain = ranking_negatives(data, log(), retrieval, tmp_path / "plain", replace(OPTIONS, score=False))
    assert plain.problem == replace(data.problem, tasks=(*data.problem.tasks, BinaryTask("taken")))


def test_derived_features_are_the_negatives_at_the_rows_time(table: pa.Table, ranked: PreparedData) -> None:
    table, chosen, encode = examples_in_order(ranked.problem, ranked.transform(), table)
    parts = [records for _, records in encode(np.arange(len(chosen)))]
    features, labels, _ = parse_encoded_examples(ranked.problem, pa.concat_arrays(parts).to_pylist())
    rows, is_drawn = table.to_pylist(), labels["taken"].numpy() == 0.0
    rates: dict[Any, set[float]] = {}
    for row, rate in zip(rows, features["item_click_rate__x"].numpy(), strict=True):
        day = row[columns.TIME] // DAY if row[columns.SPLIT] == 0 else "later"
        rates.setdefault((row["item"], day), set()).add(float(rate))
    assert all(len(found) == 1 for found in rates.values()), "an item has one rate a day, whoever looks at it"
    assert len(set.union(*rates.values())) > 20
    events = [row for row, drawn in zip(rows, is_drawn, strict=True) if not drawn and row[columns.event("clicked")]]
    counts, matches = features["clicked_match_item_count__x"].numpy(), []
    for row in np.flatnonzero(is_drawn).tolist():
        one = rows[row]
        earlier = [each for each in events if each[columns.USER] == one[columns.USER]]
        times = [each[columns.TIME] for each in earlier if each["item"] == one["item"]]
        matches.append(sum(time < one[columns.TIME] for time in times))
        assert counts[row] == pytest.approx(np.log1p(matches[-1]) / 8, abs=1e-6)
    assert max(matches) > 0


# === Refusals ===


def test_a_retrieval_of_other_data_is_refused(data: PreparedData, retrieval: Path, tmp_path: Path) -> None:
    other = tfmtl.prepare(log().slice(0, 500), data.problem, num_shards=1)
    with pytest.raises(ValueError, match="they differ in vocabularies and statistics"):
        ranking_negatives(other, log().slice(0, 500), retrieval, tmp_path / "out")
    renamed = tfmtl.prepare(log(), replace(data.problem, name="other"), num_shards=1)
    with pytest.raises(ValueError, match="they differ in name"):
        ranking_negatives(renamed, log(), retrieval, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="must hold a version"):
        ranking_negatives(data, log(), tmp_path, tmp_path / "out")


def test_another_log_or_name_is_refused(data: PreparedData, retrieval: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be the one that was prepared, with 600 examples"):
        ranking_negatives(data, log().slice(9), retrieval, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match=r"must match at least one .* Give the log that was prepared\."):
        ranking_negatives(data, None, retrieval, tmp_path / "out")
    with pytest.raises(ValueError, match="`task` must be none of the problem's own names"):
        ranking_negatives(data, log(), retrieval, tmp_path / "out", NegativeOptions(task="click"))


def test_an_index_of_what_was_taken_has_no_negatives(data: PreparedData, tmp_path: Path) -> None:
    items = training_items(data, log()).slice(0, 1)
    alone = untrained_retrieval(data, items, tmp_path / "retrieval")
    with pytest.raises(ValueError, match="retrieval found nothing but what the users took"):
        every = log().set_column(1, "item", pa.array([items["item"][0].as_py()] * ROWS))
        ranking_negatives(data, every, alone, tmp_path / "out")


@pytest.mark.parametrize("wrong", [{"count": 0}, {"share": 0.0}, {"share": 1.1}, {"task": "a b"}])
def test_options_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"`{next(iter(wrong))}` must"):
        NegativeOptions(**wrong)
