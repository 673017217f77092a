"""The heart of the project: what training read and what the server computes are exactly equal.

Logs full of odd values go through the preprocessing kernels to records, and
the requests that a client would have sent at the same moments go through
`RawTransform`, as a function and as a SavedModel's signature.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.odd_rows import (
    ODD_NUMBERS,
    ODD_PROBLEM,
    ODD_TEXTS,
    PICTURES,
    canonical,
    fit,
    logs,
    request,
    with_max_length,
)
from tests.support.slow_history import Row
from tfmtl.data.example_spec import (
    encoded_signature,
    lengths_key,
    parse_encoded_examples,
    parse_raw_examples,
    raw_signature,
)
from tfmtl.data.raw_transform import RawTransform
from tfmtl.features.history import HistoryBehavior
from tfmtl.features.match import MatchBehavior
from tfmtl.preprocessing.writing.encode import encode_bucket
from tfmtl.preprocessing.writing.window_views import WindowViews
from tfmtl.schema import SPLITS, CategoricalFeature, Keys, Problem

Tensors = Mapping[str, tf.Tensor]

_SETTINGS = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@dataclass(frozen=True)
class Fitted:
    """A fitted transformation and the ways in which requests reach it."""

    transform: RawTransform
    served: Sequence[Callable[[Tensors], Tensors]]


def _fit(problem: Problem, folder: Path, log: Sequence[Row]) -> RawTransform:
    fit(problem, canonical(problem, log)).save(folder)
    return RawTransform(problem, folder)


def _serve(problem: Problem, transform: RawTransform, folder: Path) -> Callable[[Tensors], Tensors]:
    """The transformation as a signature of a SavedModel that was written and loaded again."""
    module = tf.Module()
    module.transform = transform
    module.function = tf.function(lambda **raw: transform(raw))
    signature = module.function.get_concrete_function(**raw_signature(problem))
    tf.saved_model.save(module, str(folder), signatures=signature)
    loaded = tf.saved_model.load(str(folder))
    return lambda raw: loaded.signatures["serving_default"](**raw)


def _training_log() -> list[Row]:
    """Every odd text and number, most of them twice, so that vocabularies and buckets hold them."""
    log = []
    for index in range(200):
        text, number = ODD_TEXTS[index % len(ODD_TEXTS)], ODD_NUMBERS[index % len(ODD_NUMBERS)]
        log.append(
            {
                "user": "uv日"[index % 3], "ts": index // 4, "item": text, "last_item": text, "related": "a|ä||🦊|x\ny",
                "topic": "abcdef"[index % 7 % 6], "words": "a||ä", "device": text, "never": None,
                "price": number if index % 2 else index % 11, "age": index % 13 - 4.5, "views": 3.0 ** (index % 9),
                "picture": f"{index % 17}|{3.4e38 if index % 5 else -0.25}",
                "photo": PICTURES[index % len(PICTURES)],
                "about": text, "ranks": [None, "1|nan|3", "nan|2.5|-1e30"][index % 3],
                "taste": f"{index % 3} 0.0 {number}"
                if np.isfinite(np.float32(number)) else "nan nan nan",
                "both": number,
                "nothing": None, "void": None, "click": index % 2, "part": "train", "shown": 1,
            }
        )  # fmt: skip
    return log


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    folder = tmp_path_factory.mktemp("odd")
    transform = _fit(ODD_PROBLEM, folder / "transform", _training_log())
    function = tf.function(transform, input_signature=[raw_signature(ODD_PROBLEM)])
    return Fitted(transform, [function, _serve(ODD_PROBLEM, transform, folder / "saved")])


# === Both ways ===


def _through_records(problem: Problem, transform: RawTransform, batches: Sequence[pa.RecordBatch]) -> dict[int, Any]:
    """Row -> features that training reads, by way of serialized records."""
    encoded = encode_bucket(problem, transform, pa.Table.from_batches(batches), (0, 0))
    records = [record for split in SPLITS for part in encoded.records(split) for record in part.to_pylist()]
    features, _, groups = parse_encoded_examples(problem, tf.constant(records, tf.string))
    arrays = {name: tensor.numpy() for name, tensor in features.items()}
    return {
        int(row): {name: values[position] for name, values in arrays.items()}
        for position, row in enumerate(groups.numpy())
    }


def _tensors(problem: Problem, requests: Sequence[Mapping[str, Any]]) -> dict[str, tf.Tensor]:
    """Requests of any lengths as one batch, short rows filled up with missing values."""
    missing = {tf.string: b"", tf.float32: np.float32(np.nan), tf.int64: 0}
    tensors = {}
    for name, spec in raw_signature(problem).items():
        values = [request[name] for request in requests]
        if spec.shape.rank == 1:
            tensors[name] = tf.constant(values, spec.dtype)
            continue
        shape = [len(requests), spec.shape[1] or max(map(len, values))]
        if spec.shape.rank == 3:
            shape.append(spec.shape[2] or max((len(event) for row in values for event in row), default=0))
        filled = np.full(shape, missing[spec.dtype], object)
        for place in np.ndindex(*shape[:-1]):
            items = values[place[0]]
            if len(place) == 2:
                items = items[place[1]] if place[1] < len(items) else []
            filled[place][: len(items)] = items
        tensors[name] = tf.constant(filled.ravel().tolist(), spec.dtype, shape)
    return tensors


def _different(expected: Mapping[str, Any], tensors: Tensors, position: int | slice) -> list[str]:
    """Names of the features of an example that are not equal, bit for bit."""
    assert set(expected) == set(tensors)
    different = []
    for name, value in expected.items():
        other = tensors[name].numpy()[position]
        if value.dtype != other.dtype or value.shape != other.shape or value.tobytes() != other.tobytes():
            different.append(name)
    return different


def _compare(
    problem: Problem,
    fitted: Fitted,
    log: Sequence[Row],
    cuts: Sequence[int] = (),
    make_request: Callable[..., dict[str, Any]] = request,
) -> list[list[str]]:
    """Per example, which features differ between its record and its request."""
    batches = canonical(problem, log, cuts)[::-1]  # rows reach a bucket in any order
    records = _through_records(problem, fitted.transform, batches)
    shown = [index for index, row in enumerate(log) if row["shown"] == 1]
    assert sorted(records) == shown
    if not shown:
        return []
    raw = _tensors(problem, [make_request(problem, log, index) for index in shown])
    answers = [serve(raw) for serve in fitted.served]
    return [
        [name for answer in answers for name in _different(records[index], answer, position)]
        for position, index in enumerate(shown)
    ]


@settings(_SETTINGS, max_examples=70)
@given(log=logs, cuts=st.lists(st.integers(1, 29), max_size=3))
def test_records_equal_requests(fitted: Fitted, log: list[Row], cuts: list[int]) -> None:
    assert not any(_compare(ODD_PROBLEM, fitted, log, cuts))


@settings(_SETTINGS, max_examples=15)
@given(log=logs)
def test_records_equal_requests_whatever_was_learned(tmp_path_factory: pytest.TempPathFactory, log: list[Row]) -> None:
    transform = _fit(ODD_PROBLEM, tmp_path_factory.mktemp("own"), log)
    assert not any(_compare(ODD_PROBLEM, Fitted(transform, [transform]), log))


def test_kinds_that_need_padded_windows_write_the_same_records(fitted: Fitted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Padded slice by slice, as for a kind of one's own: the same bytes as from ranges in columns."""
    batches = canonical(ODD_PROBLEM, _training_log()[:80])

    def written() -> list[bytes]:
        encoded = encode_bucket(ODD_PROBLEM, fitted.transform, pa.Table.from_batches(batches), (0, 0))
        return [record for split in SPLITS for part in encoded.records(split) for record in part.to_pylist()]

    expected = written()
    padded: list[int] = []
    for kind in (HistoryBehavior, MatchBehavior):
        monkeypatch.setattr(kind, "needs_windows", True)
    monkeypatch.setattr("tfmtl.preprocessing.writing.derivation._SLICE_EVENTS", 20)
    monkeypatch.setattr(
        WindowViews,
        "of",
        lambda self, chosen, sequences, as_served=False, of=WindowViews.of: (
            padded.append(len(chosen)) or of(self, chosen, sequences, as_served)
        ),
    )
    assert written() == expected
    assert len(padded) > 10


def test_milliseconds(tmp_path: Path) -> None:
    problem = replace(ODD_PROBLEM, keys=Keys("user", "ts", group="row", time_unit="ms"))
    log = [{**row, "ts": 700 * index} for index, row in enumerate(_training_log()[:30])]
    transform = _fit(problem, tmp_path, log)
    assert not any(_compare(problem, Fitted(transform, [transform]), log))


# === The comparison finds a broken side ===


def _newest_first(problem: Problem, log: Sequence[Row], index: int) -> dict[str, Any]:
    raw = request(problem, log, index)
    return {name: value[::-1] if name.startswith("seen__") else value for name, value in raw.items()}


def _shifted_lists(problem: Problem, log: Sequence[Row], index: int) -> dict[str, Any]:
    """The events' lists, each standing at its neighbor's place."""
    raw = request(problem, log, index)
    lists = ("read__words", "read__related")
    return {name: [["ä".encode()], *value[:-1]] if name in lists and value else value for name, value in raw.items()}


def _with_events_of_the_same_second(problem: Problem, log: Sequence[Row], index: int) -> dict[str, Any]:
    now = log[index]["ts"]
    later = [{**row, "ts": row["ts"] + (row["ts"] > now)} for row in log]
    later[index] = {**log[index], "ts": now + 1}
    return {**request(problem, later, index), "ts": now}


def _last_values_of_a_list(problem: Problem, log: Sequence[Row], index: int) -> dict[str, Any]:
    raw = request(problem, log, index)
    return {**raw, "related": raw["related"][::-1]}


def _next_float(problem: Problem, log: Sequence[Row], index: int) -> dict[str, Any]:
    raw = request(problem, log, index)
    return {**raw, "age": np.nextafter(raw["age"], np.float32(np.inf))}


def _next_component(problem: Problem, log: Sequence[Row], index: int) -> dict[str, Any]:
    raw = request(problem, log, index)
    return {**raw, "taste": [2.0 * number + 1.0 for number in raw["taste"][:1]] + list(raw["taste"][1:])}


def _late(problem: Problem, log: Sequence[Row], index: int) -> dict[str, Any]:
    return {**request(problem, log, index), "ts": log[index]["ts"] + 4}


def _unconditional(problem: Problem, log: Sequence[Row], index: int) -> dict[str, Any]:
    return request(problem, [{**row, "click": 1} for row in log], index)


@pytest.fixture(scope="module")
def sound_log(fitted: Fitted) -> list[Row]:
    """Rows whose records and requests are equal."""
    log = _training_log()[:50]
    assert not any(_compare(ODD_PROBLEM, fitted, log))
    return log


@pytest.mark.parametrize(
    ("broken", "found"),
    [
        (_shifted_lists, {"read__words", "read__related"}),
        (_newest_first, {"seen__item", "seen__price", "seen__device", "seen__gap"}),
        (_with_events_of_the_same_second, {"seen__item", "seen__price", "priced__price", "read__words"}),
        (_last_values_of_a_list, {"related"}),
        (_next_float, {"age"}),
        (_next_component, {"taste"}),
        (_late, {"seen__gap", "liked__gap", "read__gap"}),
        (_unconditional, {"liked__topic", "liked__user", "liked__gap"}),
    ],
)
def test_the_comparison_finds_a_wrong_request(
    fitted: Fitted, sound_log: list[Row], broken: Callable[..., dict[str, Any]], found: set[str]
) -> None:
    different = {name for names in _compare(ODD_PROBLEM, fitted, sound_log, (), broken) for name in names}
    assert found <= different
    assert different <= {name for name in encoded_signature(ODD_PROBLEM) if name[:5] in {part[:5] for part in found}}


def test_the_comparison_finds_a_wrong_max_length(fitted: Fitted, tmp_path: Path) -> None:
    log = _training_log()
    wrong = with_max_length(ODD_PROBLEM, 5)
    records = _through_records(ODD_PROBLEM, fitted.transform, canonical(ODD_PROBLEM, log))
    answer = _fit(wrong, tmp_path, log)(_tensors(wrong, [request(wrong, log, 150)]))
    different = _different(records[150], answer, 0)
    events = [each.key for sequence in ODD_PROBLEM.sequences for each in sequence.tensors(ODD_PROBLEM)]
    assert [name for name in different if name in events] == events
    assert all(name in events or name.startswith(("seen", "liked", "read")) for name in different)


# === Serialized raw examples ===


def _example(problem: Problem, raw: Mapping[str, Any]) -> tf.train.Example:
    """A raw tf.Example; a missing single value is left out, as a client may."""
    example = tf.train.Example()
    for name, spec in raw_signature(problem).items():
        values = raw[name] if spec.shape.rank > 1 else [raw[name]]
        if spec.shape.rank == 3:
            if spec.shape[2] is None:
                example.features.feature[lengths_key(name)].int64_list.value.extend(map(len, values))
            values = [item for event in values for item in event or [np.nan] * (spec.shape[2] or 0)]
        if spec.shape.rank == 2 and spec.shape[1] and not values:
            continue
        if spec.shape.rank == 1 and (values[0] == b"" or values[0] != values[0]):
            continue
        feature = example.features.feature[name]
        lists = {tf.string: feature.bytes_list, tf.float32: feature.float_list, tf.int64: feature.int64_list}
        lists[spec.dtype].value.extend(values)
    return example


@settings(_SETTINGS, max_examples=40)
@given(log=logs)
def test_raw_examples_equal_the_named_features(fitted: Fitted, log: list[Row]) -> None:
    requests = [request(ODD_PROBLEM, log, index) for index in range(len(log))]
    named = _tensors(ODD_PROBLEM, requests)
    serialized = [_example(ODD_PROBLEM, raw).SerializeToString() for raw in requests]
    parsed = parse_raw_examples(ODD_PROBLEM, tf.constant(serialized))
    for name, tensor in named.items():
        assert parsed[name].dtype == tensor.dtype
        np.testing.assert_array_equal(parsed[name].numpy(), tensor.numpy(), err_msg=name)
    for serve in fitted.served:
        answer = {name: tensor.numpy() for name, tensor in serve(named).items()}
        assert not _different(answer, serve(parsed), slice(None))


def test_a_raw_example_must_say_its_time() -> None:
    example = _example(ODD_PROBLEM, request(ODD_PROBLEM, _training_log(), 0))
    del example.features.feature["ts"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="ts"):
        parse_raw_examples(ODD_PROBLEM, tf.constant([example.SerializeToString()]))


# === What single values become ===


def test_missing_values(fitted: Fitted) -> None:
    encode = fitted.transform.encode
    assert encode("item", tf.constant(["", "a", "not seen"])).numpy().tolist()[::2] == [0, 1]
    assert encode("item", tf.constant(["a"])).numpy()[0] >= 2
    assert encode("device", tf.constant(["", "a"])).numpy()[0] == 0
    assert encode("never", tf.constant(["", "a"])).numpy().tolist() == [0, 1]
    assert encode("price", tf.constant([np.nan, -np.inf])).numpy().tolist() == [0, 2]
    assert encode("void", tf.constant([np.nan, 5.0])).numpy().tolist() == [0, 2]
    assert encode("age", tf.constant([np.nan, np.inf, -np.inf])).numpy().tolist() == [0.0, 10.0, -10.0]
    assert encode("views", tf.constant([np.nan, np.inf, -np.inf])).numpy().tolist() == [0.0, 10.0, -10.0]


def test_values_with_a_line_break_are_out_of_vocabulary(fitted: Fitted) -> None:
    values = [text for text in ODD_TEXTS if text != "A"]
    ids = fitted.transform.encode("item", tf.constant(values)).numpy()
    assert [value for value, i in zip(values, ids, strict=True) if i == 1] == ["x\ny", "x\r\ny", "x\ry", "\n"]
    assert len(set(ids[ids > 1].tolist())) == len(values) - 4


def test_hashing_stays_in_its_buckets(fitted: Fitted) -> None:
    ids = fitted.transform.encode("device", tf.constant([str(n) for n in range(500)])).numpy()
    assert set(ids.tolist()) == {2, 3, 4, 5, 6}


@pytest.mark.parametrize(("unit", "ticks"), [("s", 1), ("ms", 1000)])
def test_time_gaps_double(tmp_path: Path, unit: str, ticks: int) -> None:
    problem = replace(ODD_PROBLEM, keys=Keys("user", "ts", "row", time_unit=unit))
    transform = _fit(problem, tmp_path, _training_log())
    seconds = [-5, 0, 1, 2, 3, 4, 7, 8, 15, 16, 10**9]
    gaps = transform.encode_gap(ODD_PROBLEM.sequences[0], tf.constant(seconds, tf.int64) * ticks + (ticks - 1))
    assert gaps.dtype == tf.int32
    assert gaps.numpy().tolist() == [2, 2, 3, 4, 4, 5, 5, 6, 6, 7, 7]
    widest = transform.encode_gap(ODD_PROBLEM.sequences[1], tf.constant([2**k * ticks for k in range(53)], tf.int64))
    assert widest.numpy().tolist() == list(range(3, 56))
    below = transform.encode_gap(ODD_PROBLEM.sequences[1], tf.constant([2**k * ticks - 1 for k in range(53)], tf.int64))
    assert below.numpy().tolist() == list(range(2, 55))  # float32 would take 2**25 - 1 for 2**25


def test_histories_of_unequal_lengths_are_refused(fitted: Fitted) -> None:
    raw = _tensors(ODD_PROBLEM, [request(ODD_PROBLEM, _training_log(), 100)])
    with pytest.raises(tf.errors.InvalidArgumentError, match="'seen__price' must have as many events per row as"):
        fitted.transform({**raw, "seen__price": raw["seen__price"][:, 1:]})


def test_an_empty_table_is_all_out_of_vocabulary(tmp_path: Path) -> None:
    problem = replace(ODD_PROBLEM, features=(CategoricalFeature("item"),), sequences=())
    transform = _fit(problem, tmp_path, [{**row, "item": None} for row in _training_log()])
    assert transform.encode("item", tf.constant(["", "a", "\n"])).numpy().tolist() == [0, 1, 1]
