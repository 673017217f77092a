"""What preprocessing learns, against counting and NumPy; the same however rows were spread."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.odd_rows import ODD_PROBLEM, canonical, fit, logs
from tests.support.slow_history import Row
from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.preprocessing.fitting.analyze import build_statistics, count_values, merge_counts
from tfmtl.preprocessing.fitting.split import coarse_times, merge_time_counts, time_counts, time_cuts
from tfmtl.schema import BinaryTask, CategoricalFeature, NumericFeature, Problem, RegressionTask, Split

_SETTINGS = settings(max_examples=60, deadline=None, derandomize=True)


@_SETTINGS
@given(log=logs, cuts=st.lists(st.integers(1, 29), max_size=6), seed=st.integers(0, 99))
def test_counts_merge_in_any_order_and_partition(log: list[Row], cuts: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    tables: dict = {}
    for batch in canonical(ODD_PROBLEM, log, cuts):
        for column, table in count_values(ODD_PROBLEM, batch):
            tables.setdefault(column, []).append(table)
    merged = {}
    for column, parts in tables.items():
        order = generator.permutation(len(parts)).tolist()
        split = int(generator.integers(1, len(parts) + 1))
        halves = [[parts[i] for i in some] for some in (order[:split], order[split:]) if some]
        merged[column] = merge_counts([merge_counts(half) for half in halves])
    assert build_statistics(ODD_PROBLEM, merged) == fit(ODD_PROBLEM, canonical(ODD_PROBLEM, log))


# === Vocabularies ===


@_SETTINGS
@given(log=logs)
def test_vocabularies_are_those_of_a_counter(log: list[Row]) -> None:
    statistics = fit(ODD_PROBLEM, canonical(ODD_PROBLEM, log))
    training = [row for row in log if row["part"] == "train"]
    items: Counter[str] = Counter()
    for row in training:
        items.update(value for value in (row["item"], row["last_item"]) if value)
        items.update([value for value in (row["related"] or "").split("|") if value][:2])
    expected = {
        "item": [(v, n) for v, n in items.items() if n >= 2 and "\n" not in v and "\r" not in v],
        "topic": list(Counter(row["topic"] for row in training if row["topic"]).items()),
        "user": list(Counter(row["user"] for row in training).items()),
        "never": [],
    }
    for table, pairs in expected.items():
        known = sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[: 4 if table == "topic" else None]
        assert statistics.vocabularies[table] == tuple(value for value, _ in known)
        assert statistics.vocabulary_counts[table] == tuple(count for _, count in known)
    assert set(statistics.vocabularies) == set(expected)  # hashing learns nothing


def test_saved_statistics_come_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    @settings(_SETTINGS, max_examples=30)
    @given(log=logs)
    def check(log: list[Row]) -> None:
        folder = tmp_path_factory.mktemp("statistics")
        statistics = fit(ODD_PROBLEM, canonical(ODD_PROBLEM, log))
        statistics.save(folder)
        assert TransformStatistics.load(folder) == statistics

    check()


def test_a_folder_without_statistics(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(FileNotFoundError, match=r"no '.*statistics\.json'\. Give the output folder of"):
        TransformStatistics.load(tmp_path_factory.mktemp("empty"))


# === Numbers ===

_NUMBERS = Problem(
    "numbers",
    features=(
        CategoricalFeature("name"),
        NumericFeature("q2", buckets=2),
        NumericFeature("q4", buckets=4),
        NumericFeature("q32", buckets=32),
        NumericFeature("z", "z_score"),
        NumericFeature("lz", "log_z_score"),
    ),
    tasks=(BinaryTask("yes"), RegressionTask("amount")),
    split=Split(by="column", column="part"),
    examples="shown == 1",
)


def _numbers(values: Sequence[float], labels: Sequence[float | None] | None = None) -> TransformStatistics:
    """Statistics of one list of numbers in every numeric column, as training examples."""
    labels = list(labels or [None] * len(values))
    rows = [
        {**dict.fromkeys(("q2", "q4", "q32", "z", "lz"), float(value)), **dict.fromkeys(("yes", "amount"), label),
         "name": "n", "part": "train", "shown": 1}
        for value, label in zip(values, labels, strict=True)
    ]  # fmt: skip
    return fit(_NUMBERS, canonical(_NUMBERS, rows))


@pytest.mark.parametrize("buckets", [4, 32])
@pytest.mark.parametrize("kind", ["normal", "integers", "skewed"])
def test_boundaries_of_infrequent_values_are_quantiles(buckets: int, kind: str) -> None:
    generator = np.random.default_rng(buckets)
    values = {
        "normal": generator.normal(size=20_000),
        "integers": generator.permutation(20_000).astype(np.float64),
        "skewed": np.exp(3.0 * generator.normal(size=20_000)),
    }[kind].astype(np.float32)
    boundaries = np.array(_numbers(values.tolist()).boundaries[f"q{buckets}"])
    quantiles = np.quantile(values.astype(np.float64), np.arange(1, buckets) / buckets)
    below, expected = (np.searchsorted(np.sort(values), cuts) / len(values) for cuts in (boundaries, quantiles))
    np.testing.assert_allclose(below, expected, atol=1e-3)  # rounding moves a boundary past few values


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3, 4], (2.0, 3.0, 4.0)),
        (range(8), (2.0, 4.0, 6.0)),
        ([1] * 6 + [2, 3], (2.0, 3.0)),
        ([0] * 95 + [1, 2, 3, 4, 5], (1.0, 3.0, 5.0)),  # three buckets are left for the values that are not 0
        ([1, 2, 3, 4, *[5] * 10, 6, 7, 8, 9], (5.0, 6.0)),
        ([5, 5, 5], ()),
        ([float("inf"), float("-inf"), float("nan")], ()),
        ([0, 0, 0, float("inf"), 9], (9.0,)),
        ([-0.0, 0.0, 1.0, 1.0], (1.0,)),
        ([1], ()),
    ],
)
def test_boundaries_of_few_values(values: Sequence[float], expected: tuple[float, ...]) -> None:
    assert _numbers(values).boundaries["q4"] == expected


def test_two_buckets_around_a_frequent_value() -> None:
    assert _numbers([1, *[5] * 10, 9]).boundaries["q2"] == (5.0,)


@settings(_SETTINGS, max_examples=100)
@given(values=st.lists(st.integers(-9, 9) | st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40))
def test_every_bucket_is_used_and_a_value_of_half_the_rows_has_its_own(values: list[float]) -> None:
    boundaries = np.array(_numbers(values).boundaries["q4"])
    assert (np.diff(boundaries) > 0).all()
    assert len(boundaries) <= 3
    rounded = _sixteen_bits(values)
    ids = np.searchsorted(boundaries, rounded, side="right")
    assert set(ids.tolist()) == set(range(len(boundaries) + 1))
    value, count = Counter(rounded.tolist()).most_common(1)[0]
    if 2 * count >= len(values):
        assert len(set(rounded[ids == ids[rounded == value][0]].tolist())) == 1


def _sixteen_bits(values: Sequence[float]) -> np.ndarray:
    """Numbers rounded to 16 significant bits, written from the definition."""
    fraction, exponent = np.frexp(np.array(values, np.float32).astype(np.float64))
    return np.ldexp(np.floor(np.abs(fraction) * 2**16 + 0.5) * np.sign(fraction), exponent - 16)


@settings(_SETTINGS, max_examples=100)
@given(values=st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=1, max_size=40))
def test_moments_are_numpys_of_the_rounded_numbers(values: list[float]) -> None:
    statistics = _numbers(values)
    rounded = _sixteen_bits(values)
    for name, numbers in {"z": rounded, "lz": np.sign(rounded) * np.log1p(np.abs(rounded))}.items():
        scale = np.abs(numbers).max()
        np.testing.assert_allclose(statistics.means[name], numbers.mean(), rtol=1e-12, atol=1e-12 * scale)
        np.testing.assert_allclose(statistics.deviations[name], numbers.std(), rtol=1e-7, atol=1e-7 * scale)


def test_rounding_costs_a_hundred_thousandth() -> None:
    values = np.random.default_rng(0).lognormal(size=5_000).astype(np.float32)
    statistics = _numbers(values.tolist())
    np.testing.assert_allclose(statistics.means["z"], values.astype(np.float64).mean(), rtol=2.0**-17)
    np.testing.assert_allclose(statistics.deviations["z"], values.astype(np.float64).std(), rtol=2.0**-15)


def test_no_numbers_scale_by_nothing() -> None:
    statistics = _numbers([float("nan"), float("inf")])
    assert (statistics.means["z"], statistics.deviations["z"]) == (0.0, 1.0)


def test_label_means() -> None:
    statistics = _numbers([1.0] * 5, [1, 0, 0, None, 0])
    assert statistics.label_means == {"yes": 0.25, "amount": 0.25}
    assert statistics.label_deviations["yes"] == pytest.approx(np.std([1, 0, 0, 0]))


def test_table_sizes_count_padding_and_out_of_vocabulary() -> None:
    statistics = _numbers([1, 2, 3, 4])
    assert statistics.model_inputs(_NUMBERS).table_rows == {"name": 3, "q2": 4, "q4": 6, "q32": 6}


# === Which rows count ===


def test_only_training_rows_count_and_only_examples_for_labels() -> None:
    parts = [("train", 1), ("train", 0), ("valid", 1), ("test", 1)]
    rows = [
        {"name": f"n{i}", "q2": i, "q4": i, "q32": i, "z": 10.0**i, "lz": i, "part": part, "shown": shown,
         "yes": 1 - i % 2, "amount": i}
        for i, (part, shown) in enumerate(parts)
    ]  # fmt: skip
    statistics = fit(_NUMBERS, canonical(_NUMBERS, rows))
    assert statistics.vocabularies["name"] == ("n0", "n1")
    assert statistics.means["z"] == 5.5
    assert statistics.boundaries["q4"] == (1.0,)
    assert statistics.label_means == {"yes": 1.0, "amount": 0.0}


# === Times ===


@settings(_SETTINGS, max_examples=300)
@given(
    times=st.lists(
        st.integers(-5, 40) | st.sampled_from([1.7e9, 1.7e9 + 300, -(2**40)]).map(int), min_size=1, max_size=60
    ),
    shares=st.tuples(st.sampled_from([0.0, 0.1, 0.2, 0.29, 0.5]), st.sampled_from([0.0, 0.1, 0.3, 0.49])),
)
def test_time_cuts_leave_at_most_the_shares(times: list[int], shares: tuple[float, float]) -> None:
    valid, test = shares
    counts = pa.table({"time": pa.array(times, pa.int64()), "count": pa.array([1] * len(times), pa.int64())})
    coarse = counts.set_column(0, "time", coarse_times(counts["time"].combine_chunks()))
    valid_from, test_from = time_cuts(Split(valid=valid, test=test), merge_time_counts([coarse]))
    assert valid_from <= test_from
    assert any(time < valid_from for time in times)
    newest, newest_two = (sum(time >= cut for time in times) for cut in (test_from, valid_from))
    assert newest <= len(times) * test + 1e-6
    assert newest_two <= len(times) * (valid + test) + 1e-6
    if len(set(times)) == len(times) and max(times) < 2**24 > -min(times):  # nothing tied, so nothing is lost
        assert newest == int(len(times) * test + 1e-6)
        assert newest_two == int(len(times) * (valid + test) + 1e-6)


def test_coarse_times_keep_24_bits() -> None:
    times = pa.array([0, 5, -5, 2**24 - 1, 2**24 + 1, 1_700_000_123, -(2**24) - 1], pa.int64())
    assert coarse_times(times).to_pylist() == [0, 5, -5, 2**24 - 1, 2**24, 1_700_000_123 // 128 * 128, -(2**24) - 2]


def test_only_examples_are_counted_for_the_cuts() -> None:
    problem = replace(ODD_PROBLEM, split=Split(by="time"))
    log = [
        {**dict.fromkeys([f.name for f in problem.features]), "user": "u", "ts": i, "click": 0, "shown": i % 2}
        for i in range(6)
    ]
    [batch] = canonical(problem, log)
    assert merge_time_counts([time_counts(batch)]).to_pydict() == {"time": [1, 3, 5], "count": [1, 1, 1]}


def test_no_examples_at_all() -> None:
    assert time_cuts(Split(), None) == (0, 0)
    assert time_cuts(Split(), pa.table({"time": pa.array([], pa.int64()), "count": pa.array([], pa.int64())})) == (0, 0)
