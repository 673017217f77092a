"""A problem with texts and series goes the whole way, from the log to what is answered to a request."""

import json
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tests.support.tiny_problem import (
    ROWS,
    next_day,
    prepare,
    tiny_inputs,
    tiny_log,
    tiny_model,
    tiny_problem,
    whole_split,
)
from tests.support.whole_way import check_is_learned_and_kept, check_is_served_as_trained
from tests.unit.models.random_batch import random_batch
from tfmtl.balancing import BALANCERS
from tfmtl.data import PreparedData
from tfmtl.data.example_spec import raw_signature
from tfmtl.data.feature_counts import FeatureCounts
from tfmtl.data.feature_profile import FeatureProfile
from tfmtl.export.raw_batch import to_tensors
from tfmtl.models.growth import grow_tables
from tfmtl.pipelines.skew.find_skew import SkewOptions, find_skew
from tfmtl.report import data_report
from tfmtl.schema import ModelInputs, Problem, SequenceFeature, SeriesFeature, TextFeature
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.server.request_log import RequestLog
from tfmtl.serving.server.served_model import ServedModel
from tfmtl.serving.serving_error import ServingError
from tfmtl.sharpness import SAM
from tfmtl.training import TrainOptions

SMALL: dict[str, Any] = {"max_length": 6, "max_ngrams": 12, "buckets": 64, "dim": 8}
OWN = (
    TextFeature("title", encoder="convolution", side="item", **SMALL),
    TextFeature("search", "words", "transformer", side="user", table="words", dropout=0.2, **SMALL),
    TextFeature("note", "words", "gru", table="words", vectors="vectors.txt", **SMALL),
    TextFeature("tail", "ngrams", "mean", **SMALL),
    SeriesFeature("ranks", 4, "log_z_score", side="item", dim=8, dropout=0.1),
    SeriesFeature("days", 3, channels=2, encoder="convolution", side="user", dim=8),
    SeriesFeature("flat", 2, encoder="flat", dim=8),
)
_WORDS = np.array(["red", "Shoe", "shoes!", "blau", "日本", "🦊", "old", "ÄÖ", "x"])


def problem(vectors: str) -> Problem:
    plain = tiny_problem()
    note = TextFeature("note", "words", "gru", vectors=vectors, **SMALL)
    own = tuple(note if each.name == "note" else each for each in OWN)
    seen = SequenceFeature("looked", ("item", "title"), max_length=3, time_gap_buckets=0)
    return tiny_problem(features=(*plain.features[:3], *own), sequences=(plain.sequences[2], seen))


def with_own(log: pa.Table, has_bad: bool = False) -> pa.Table:
    generator = np.random.default_rng(4)

    def texts() -> list[Any]:
        found = [" ".join(_WORDS[generator.integers(0, 9, n)]) for n in generator.integers(0, 8, ROWS)]
        return [None if n % 50 == 0 else text for n, text in enumerate(found)]

    def series(size: int) -> list[Any]:
        found = [[None if x < -1.5 else x for x in row] for row in generator.normal(size=(ROWS, size)).tolist()]
        return [None if n % 40 == 0 else row for n, row in enumerate(found)]

    columns: dict[str, Any] = {name: texts() for name in ("title", "search", "note", "tail")}
    columns["title"] = [None if text is None else text.encode() for text in columns["title"]]
    columns |= {"ranks": series(4), "days": series(6), "flat": series(2)}
    if has_bad:
        columns["title"][7] = b"caf\xe9"
        columns["ranks"][8] = [1.0, 2.0]
        columns["flat"][9] = [1.0, float("inf")]
    for name, values in columns.items():
        log = log.append_column(name, pa.array(values, pa.binary()) if name == "title" else pa.array(values))
    return log


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    folder = tmp_path_factory.mktemp("texts")
    (folder / "vectors.txt").write_text(f"shoe {' '.join(['0.5'] * 8)}\nold {' '.join(['-0.25'] * 8)}\n")
    return prepare(folder, problem(str(folder / "vectors.txt")), log=with_own(tiny_log(), has_bad=True))


@pytest.fixture(scope="module")
def options() -> TrainOptions:
    """At a tiny rate, so that words stay at the vectors from which they start."""
    small = {"hidden_units": (8,), "tower_units": (4,)}
    return TrainOptions("mmoe", small, epochs=1, batch_size=128, learning_rate=1e-5)


def test_rows_that_cannot_be_are_rejected_with_their_reason(data: PreparedData) -> None:
    assert data.manifest["rows_rejected"] == {
        "column 'title' is not UTF-8 text": 1,
        "column 'ranks' is not 4 numbers long": 1,
        "column 'flat' holds an infinity": 1,
    }


def test_it_learns_is_measured_and_kept(run: Any, data: PreparedData) -> None:
    model, folder = run
    assert model.embedding.field_names[-7:] == tuple(each.name for each in OWN)
    assert model.feature_dropout is not None, "the problem's own"
    check_is_learned_and_kept(model, folder, data)


def test_words_start_from_the_users_vectors(run: Any, data: PreparedData) -> None:
    words = data.statistics.vocabularies["note"]
    place = run[0].embedding.plan.tables["note"]
    rows = run[0].embedding.tables[str(place.width)].numpy()[place.start + 2 : place.start + place.count]
    for word, value in (("shoe", 0.5), ("old", -0.25)):
        np.testing.assert_allclose(rows[words.index(word)], value, atol=1e-3)  # learned at a tiny rate
    assert np.abs(rows[words.index("red")]).max() < 0.1


def test_every_signature_answers_as_the_training_graph(version: Path) -> None:
    check_is_served_as_trained(version)


def test_it_says_what_it_takes(version: Path, data: PreparedData, tmp_path: Path) -> None:
    page = (version / "assets.extra" / "signature.md").read_text()
    assert "text of side `item`, UTF-8, of which 6 words are read" in page
    assert "4 steps, oldest first, of side `item`; NaN where a number is missing" in page
    data_report(data, tmp_path / "report.html")
    report = (tmp_path / "report.html").read_text()
    assert "words, character runs in 64 buckets" in report
    assert "3 steps of 2 numbers, z_score" in report


def test_drift_sees_words_and_gaps(version: Path, data: PreparedData) -> None:
    profile = FeatureProfile.from_dict(json.loads((version / "assets.extra" / "training_profile.json").read_text()))
    assert {"title", "title (length)", "ranks", "ranks last", "ranks given (length)"} <= set(profile.columns)
    features, _ = whole_split(data, "train")
    arrays = {name: values.numpy() for name, values in features.items()}

    def drifted(changed: dict[str, Any]) -> list[str]:
        counts = FeatureCounts(data.inputs)
        counts.add({**arrays, **changed})
        return [each.name for each in profile.compare(counts) if each.exceeds(0.25)]

    assert drifted({}) == []
    assert "title" in drifted({"title": np.where(arrays["title"] > 0, 1, 0)})
    assert "ranks given (length)" in drifted({"ranks__present": np.zeros_like(arrays["ranks__present"])})


def test_logged_requests_are_compared(version: Path, data: PreparedData, tmp_path: Path) -> None:
    model = ServedModel(version, 1)
    with RequestLog(tmp_path / "log", rate=1.0) as log:
        for kept in data.requests()[:8]:
            tensors = to_tensors([kept["features"]], raw_signature(data.problem))
            inputs = {name: value.numpy() for name, value in tensors.items()}
            log.offer("tiny", 1, "serving_default", inputs, model.predict("serving_default", inputs))
    found = find_skew(tmp_path / "log", version.parent, SkewOptions())
    assert found.rows == 8
    assert {"title", "ranks"} <= {each.name for each in found.drifts}
    assert max(found.graphs[1].largest.values()) < 1e-5


def test_another_day_appends_words_and_the_grown_model_answers_as_before(
    run: Any, data: PreparedData, tmp_path: Path
) -> None:
    log = with_own(next_day())
    place = log.column_names.index("title")
    titles = [None if text is None else text + b" brandnew" for text in log["title"].to_pylist()]
    log = log.set_column(place, "title", pa.array(titles, pa.binary()))
    later = prepare(tmp_path, data.problem, log=log, transform_from=str(data.directory), extend_vocabularies=True)
    before, after = data.statistics.vocabularies, later.statistics.vocabularies
    for table in ("title", "words", "note"):
        assert after[table][: len(before[table])] == before[table]
    assert "brandnew" in after["title"] and "brandnew" not in before["title"]
    request = [{**each["features"], "title": "brandnew red shoe"} for each in data.requests()[:4]]
    tensors = to_tensors(request, raw_signature(data.problem))
    found = grow_tables(run[0], later)(later.transform()(tensors))
    for name, values in run[0](data.transform()(tensors)).items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6)


# === Served ===


@pytest.mark.process
def test_both_protocols_answer_as_the_training_graph(client: Any, run: Any, data: PreparedData) -> None:
    rows = [dict(each["features"]) for each in data.requests()[:4]]
    rows[1]["title"], rows[2]["ranks"], rows[3]["ranks"] = "", [], [float("nan"), 1.0, float("nan"), 2.0]
    found = client.predict(rows)["click"]
    expected = run[0](data.transform()(to_tensors(rows, raw_signature(data.problem))))["click"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.process
def test_a_bad_text_or_series_is_answered_with_the_feature(served: LocalServer, data: PreparedData) -> None:
    row = data.requests()[0]["features"]
    with GrpcClient(f"127.0.0.1:{served.grpc_port}", "tiny", timeout=120.0) as client:
        for bad in ({"title": b"caf\xe9"}, {"ranks": [1.0, float("inf"), 0.0, 0.0]}):
            with pytest.raises(ServingError) as caught:
                client.predict([{**row, **bad}])
            assert caught.value.code == "INVALID_ARGUMENT"
            assert re.search(f"{next(iter(bad))}.* must hold", str(caught.value))


# === Steps ===


@pytest.fixture(scope="module")
def inputs() -> ModelInputs:
    return tiny_inputs(problem("vectors.txt"))


@pytest.mark.parametrize(
    ("preset", "arguments"),
    [
        ("stem", {}),
        ("apem", {"balancing": BALANCERS["pcgrad"]()}),
        ("shared_bottom", {"sharpness": SAM(), "balancing": BALANCERS["cagrad"](), "balance_at": "representation"}),
        ("shared_bottom", {"jit_compile": True, "run_eagerly": False}),
    ],
    ids=["stem", "apem", "sam", "xla"],
)
def test_every_step_reaches_the_encoders(inputs: ModelInputs, preset: str, arguments: dict[str, Any]) -> None:
    model = tiny_model(inputs, preset)
    features, labels = random_batch(inputs)
    is_there = tf.constant((np.arange(16) > 0).astype("f4"))
    for key in features:
        if key.endswith("__present"):  # one row has no series
            features[key] = tf.ones_like(features[key]) * tf.reshape(is_there, (16, 1, 1))
        elif key in ("title", "title__ngrams", "search", "note", "tail__ngrams"):
            features[key] *= tf.cast(is_there, tf.int32)[:, tf.newaxis]
    model.compile(keras.optimizers.SGD(0.1), **{"run_eagerly": True, **arguments})
    model.feature_dropout = None
    weights = [weight for layer in model.embedding.field_layers.values() for weight in layer.trainable_weights]
    before = [weight.numpy() for weight in weights]
    model.train_on_batch(features, labels)
    for old, weight in zip(before, weights, strict=True):
        assert np.isfinite(weight.numpy()).all()
        assert np.abs(weight.numpy() - old).max() > 0.0, weight.path
