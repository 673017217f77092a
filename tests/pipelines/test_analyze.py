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
from tfmtl.features.number_counts import count_numbers, merge_number_counts, rounded
from tfmtl.preprocessing.fitting.analyze import build_statistics, count_values, merge_counts
from tfmtl.preprocessing.fitting.split import example_times, time_cuts
from tfmtl.preprocessing.fitting.time_grid import count_times, merge_time_counts
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
    # Hashing learns nothing; the words of texts have a test of their own.
    assert set(statistics.vocabularies) == {*expected, "about"}


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
    """Or of the numbers themselves, where rounding shows."""
    statistics = _numbers(values)
    for name, scaled in {"z": lambda x: x, "lz": lambda x: np.sign(x) * np.log1p(np.abs(x))}.items():
        numbers, exact = scaled(_sixteen_bits(values)), scaled(np.array(values, np.float32).astype(np.float64))
        scale = np.abs(exact).max()
        if max(abs(numbers.mean() - exact.mean()), abs(numbers.std() - exact.std())) > exact.std() / 512:
            numbers = exact
        np.testing.assert_allclose(statistics.means[name], numbers.mean(), rtol=1e-12, atol=1e-12 * scale)
        np.testing.assert_allclose(statistics.deviations[name], numbers.std(), rtol=1e-7, atol=1e-7 * scale)


@settings(_SETTINGS, max_examples=100)
@given(
    values=st.lists(
        st.floats(-(2.0**40), 2.0**40, width=32, allow_subnormal=False) | st.integers(2**24 - 30, 2**24),
        min_size=1,
        max_size=40,
    ),
    cuts=st.lists(st.integers(1, 39), max_size=4),
    most=st.integers(1, 20),
    seed=st.integers(0, 9),
)
def test_numbers_keep_as_many_bits_as_fit(values: list[float], cuts: list[int], most: int, seed: int) -> None:
    """In whatever order and parts they are added up; rounded to 16 bits, they are what the numbers themselves are."""
    numbers = np.array(values, np.float32) + np.float32(0)
    starts = sorted({0, *(cut for cut in cuts if cut < len(values))})
    parts = [count_numbers(pa.array(part)) for part in np.split(numbers, starts[1:])]
    np.random.default_rng(seed).shuffle(parts)
    half = merge_number_counts(parts[: len(parts) // 2 + 1], most)
    merged = merge_number_counts([half, *parts[len(parts) // 2 + 1 :]], most)
    bits = next((n for n in range(24, 16, -1) if len(set(_cut_off(numbers, n).tolist())) <= most), 16)
    expected = Counter((_sixteen_bits(values) if bits == 16 else _cut_off(numbers, bits)).tolist())
    found = merged.to_pydict()
    assert dict(zip(found["value"], found["count"], strict=True)) == expected
    assert set(found["bits"]) == {bits}
    coarse = rounded(merged).to_pydict()
    assert dict(zip(coarse["value"], coarse["count"], strict=True)) == Counter(_sixteen_bits(values).tolist())


def _cut_off(numbers: np.ndarray, bits: int) -> np.ndarray:
    """Numbers cut off after so many significant bits, written from the definition."""
    fraction, exponent = np.frexp(numbers.astype(np.float64))
    return np.ldexp(np.trunc(fraction * 2**bits), exponent - bits)


# A large offset: what 16 bits of the value throw together, the spread tells apart.


def test_dates_written_as_numbers_are_told_apart() -> None:
    days = [20231101 + day for day in range(30)] * 5
    statistics = _numbers(days)
    apart = len(set(np.float32(days).tolist()))  # float32 has steps of two there
    assert apart == 16
    assert len(statistics.boundaries["q32"]) == apart - 1
    in_float32 = np.array(days, np.float32).astype(np.float64)
    assert statistics.means["z"] == pytest.approx(in_float32.mean(), abs=0.01)
    assert statistics.deviations["z"] == pytest.approx(in_float32.std(), rel=0.01)


def test_six_hours_of_seconds_since_1970() -> None:
    seconds = np.sort(np.random.default_rng(0).integers(1_700_000_000, 1_700_021_600, 5_000)).astype(np.float32)
    statistics = _numbers(seconds.tolist())
    assert len(statistics.boundaries["q32"]) == 31
    shares = np.bincount(np.searchsorted(statistics.boundaries["q32"], seconds, side="right")) / len(seconds)
    assert shares.max() < 2 / 32
    assert statistics.deviations["z"] == pytest.approx(seconds.astype(np.float64).std(), rel=0.01)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([20231101, 20231130], "column 'z' lie within 30 of each other at about 20231130, where float32, in which"),
        (
            [1.7e12, 1.7e12],
            "column 'z' lie within 0 of each other at about 1.70000004e+12, where float32, in",
        ),
        ([7, 7], None),
        ([100, 101], None),
        ([0, 1.7e9], None),
        ([float("nan")], "column 'z' has no number in any training row."),
    ],
)
def test_numbers_that_float32_hardly_tells_apart_are_noted(values: list[float], text: str | None) -> None:
    notes = [note for note in _numbers(values).notes if "'z'" in note]
    assert len(notes) == (text is not None)
    assert text is None or text in notes[0]


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
    counts = merge_time_counts([count_times(pa.array(times, pa.int64()))])
    valid_from, test_from = time_cuts(Split(valid=valid, test=test), counts)
    assert valid_from <= test_from
    assert any(time < valid_from for time in times)
    newest, newest_two = (sum(time >= cut for time in times) for cut in (test_from, valid_from))
    assert newest <= len(times) * test + 1e-6
    assert newest_two <= len(times) * (valid + test) + 1e-6
    if len(set(times)) == len(times):  # nothing tied, so nothing is lost
        assert newest == int(len(times) * test + 1e-6)
        assert newest_two == int(len(times) * (valid + test) + 1e-6)


@settings(_SETTINGS, max_examples=100)
@given(
    times=st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-20, 20), min_size=1, max_size=40),
    pieces=st.lists(st.integers(1, 39), max_size=4),
    most=st.integers(4, 12),
    seed=st.integers(0, 9),
)
def test_times_on_the_finest_grid_that_fits(times: list[int], pieces: list[int], most: int, seed: int) -> None:
    """The smallest power of two whose floors are few enough, in whatever order and parts the counts are added up."""
    step = next(step for step in (2**n for n in range(64)) if len({t // step for t in times}) <= most)
    expected = Counter(t // step * step for t in times)
    starts = sorted({0, *(piece for piece in pieces if piece < len(times))})
    parts = [
        count_times(pa.array(times[start:stop], pa.int64()))
        for start, stop in zip(starts, [*starts[1:], len(times)], strict=True)
    ]
    np.random.default_rng(seed).shuffle(parts)
    half = merge_time_counts(parts[: len(parts) // 2 + 1], most)
    merged = merge_time_counts([half, *parts[len(parts) // 2 + 1 :]], most)
    assert merged.sort_by("time").to_pydict() == {
        "time": sorted(expected),
        "count": [expected[time] for time in sorted(expected)],
        "step": [step] * len(expected),
    }


@pytest.mark.parametrize("seconds", [120, 3600])
@pytest.mark.parametrize("first", [1_700_000_000, 1_700_000_000_000])
def test_a_short_log_of_todays_dates_is_cut_at_its_shares(seconds: int, first: int) -> None:
    times = first + np.sort(np.random.default_rng(seconds).integers(0, seconds, 6000))
    cuts = time_cuts(Split(), merge_time_counts([count_times(pa.array(times))]))
    sizes = np.bincount(np.searchsorted(np.asarray(cuts), times, side="right"), minlength=3)
    ties = np.bincount(times - first).max()
    assert np.abs(sizes - [4800, 600, 600]).max() <= 2 * ties
    assert (sizes[1:] > 0).all()


def test_only_examples_are_counted_for_the_cuts() -> None:
    problem = replace(ODD_PROBLEM, split=Split(by="time"))
    log = [
        {**dict.fromkeys([f.name for f in problem.features]), "user": "u", "ts": i, "click": 0, "shown": i % 2}
        for i in range(6)
    ]
    [batch] = canonical(problem, log)
    counted = merge_time_counts([example_times(batch)])
    assert counted.sort_by("time").to_pydict() == {"time": [1, 3, 5], "count": [1, 1, 1], "step": [1, 1, 1]}


def test_no_examples_at_all() -> None:
    assert time_cuts(Split(), None) == (0, 0)
    assert time_cuts(Split(), merge_time_counts([count_times(pa.array([], pa.int64()))])) == (0, 0)
