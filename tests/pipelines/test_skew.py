"""`tfmtl skew` is quiet where requests are like the training data, and finds each thing that is planted."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tests.support.command import Result, tfmtl
from tests.support.small_log import records
from tests.support.tiny_problem import next_day, prepare, tiny_model
from tfmtl.data import PreparedData
from tfmtl.data.example_spec import candidate_features, raw_signature
from tfmtl.data.feature_profile import FeatureProfile
from tfmtl.export import export
from tfmtl.export.raw_batch import to_examples, to_tensors
from tfmtl.pipelines.skew.score_check import ScoreCheck
from tfmtl.preprocessing.writing import shard_writer
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.rest_client import RestClient
from tfmtl.serving.server.request_log import RequestLog
from tfmtl.serving.server.served_model import ServedModel

pytestmark = pytest.mark.process

Row = dict[str, Any]
BATCH = 12


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """The tiny log, with every example among the raw requests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_writer, "NUM_REQUESTS", 1_000_000)
        return prepare(tmp_path_factory.mktemp("skew"))


@pytest.fixture(scope="module")
def run(data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `tfmtl train` leaves, as far as it is read here."""
    folder = tmp_path_factory.mktemp("run")
    tiny_model(data.inputs, "shared_bottom").save(folder / "model.keras")
    (folder / "run.json").write_text(json.dumps({"data": str(data.directory)}))
    return folder


@pytest.fixture(scope="module")
def model(data: PreparedData, run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tfmtl.models import load

    folder = tmp_path_factory.mktemp("model") / "tiny"
    export(load(run / "model.keras"), data, folder)
    return folder


@pytest.fixture(scope="module")
def served(model: Path) -> ServedModel:
    return ServedModel(model / "1", 1)


@pytest.fixture(scope="module")
def rows(data: PreparedData) -> list[Row]:
    """The training examples as raw requests, drawn anew with repetition."""
    trained = set(records(data.directory, "train"))
    found = [request["features"] for request in data.requests() if request["record"] in trained]
    assert len(found) == len(trained) == 360
    return [found[index] for index in np.random.default_rng(0).integers(0, len(found), 360)]


def write(folder: Path, data: PreparedData, served: ServedModel, rows: list[Row], **options: Any) -> None:
    """The log of a server that was asked these rows, a few at a time."""
    with RequestLog(folder, rate=1.0, **options) as log:
        for start in range(0, len(rows), BATCH):
            tensors = to_tensors(rows[start : start + BATCH], raw_signature(data.problem))
            inputs = {name: value.numpy() for name, value in tensors.items()}
            log.offer("tiny", 1, "serving_default", inputs, served.predict("serving_default", inputs))
    assert log.dropped == 0


@pytest.fixture(scope="module")
def quiet(data: PreparedData, served: ServedModel, rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log without skew; not to be written to."""
    folder = tmp_path_factory.mktemp("quiet") / "log"
    write(folder, data, served, rows)
    return folder


def skew(folder: Path, model: Path, *options: object) -> tuple[Result, dict[str, Any]]:
    """The command's result and its JSON file."""
    output = folder.parent / "skew.json"
    output.unlink(missing_ok=True)
    result = tfmtl("skew", folder, model, "-o", output, *options)
    return result, json.loads(output.read_text()) if output.exists() else {}


def exceeding(found: dict[str, Any]) -> set[str]:
    return {name for name, facts in found["columns"].items() if facts["exceeds"]}


# === Nothing planted ===


def test_quiet_over_both_protocols_and_all_signatures(
    data: PreparedData, model: Path, run: Path, rows: list[Row], tmp_path: Path
) -> None:
    """Rows, serialized examples and rankings, logged by the server itself; the graph and the training graph agree."""
    log = RequestLog(tmp_path / "log", rate=1.0, max_file_bytes=20_000)
    items = candidate_features(data.problem)
    with LocalServer(model, "tiny", grpc_port=0, rest_port=0, request_log=log) as server:
        rest = RestClient(f"127.0.0.1:{server.rest_port}", "tiny")
        with GrpcClient(f"127.0.0.1:{server.grpc_port}", "tiny") as client:
            for start in range(0, 120, 20):
                client.predict(rows[start : start + 20])
            for start in range(120, 240, 20):
                rest.predict(rows[start : start + 20])
            examples = to_examples(rows[240:300], raw_signature(data.problem))
            client.predict({"examples": examples}, signature_name="serve_examples")
            for number in range(300, 360):
                user = {name: value for name, value in rows[number].items() if name not in items}
                candidates = [{name: row[name] for name in items} for row in rows[number - 3 : number]]
                client.rank(user, candidates)
    assert log.dropped == 0
    assert len(list((tmp_path / "log").iterdir())) > 1
    result, found = skew(tmp_path / "log", model, "--run", run)
    assert result.code == 0, result.out + result.err
    assert "Nothing exceeds its limit." in result.out
    assert (found["requests"], found["rows"]) == (73, 300 + 3 * 60)
    assert found["foreign_requests"] == 0 and found["unchecked_requests"] == {} and found["warnings"] == []
    for scores in (found["scores"]["1"], found["training_graph"]):
        assert set(scores) == {"click", "buy", "watch"}
        for facts in scores.values():
            assert (facts["scores"], facts["off"]) == (480, 0)
            assert facts["largest_difference"] < 1e-6
    columns = found["columns"]
    assert {"item", "age", "tags (length)", "clicked (events)", "clicked__topic", "seen__gap"} <= set(columns)
    assert columns["user"]["rows"] == 360  # a user's one row for three candidates is one
    assert columns["item"]["rows"] == 480
    assert found["request_times"][0] >= 1000 and found["logged"] is not None


def test_the_carried_reference_is_the_training_split(quiet: Path, model: Path, data: PreparedData) -> None:
    (_, carried), (_, counted) = skew(quiet, model), skew(quiet, model, "--data", data.directory)
    assert carried == counted
    assert carried["reference"] == {"version": 1, "rows": 360}
    facts = data.manifest["splits"]["train"]["features"]["item"]
    for rate in ("missing", "out_of_vocabulary"):
        assert carried["columns"]["item"][rate][0] == pytest.approx(facts[rate])


def test_few_requests_are_no_skew(
    data: PreparedData, served: ServedModel, model: Path, rows: list[Row], tmp_path: Path
) -> None:
    """The index of thirty rows is large by chance alone."""
    write(tmp_path / "log", data, served, rows[:30])
    result, found = skew(tmp_path / "log", model)
    assert max(facts["psi"] for facts in found["columns"].values()) > 0.25
    assert result.code == 0, exceeding(found)


# === Planted ===


def change(**changes: Callable[[Any], Any]) -> Callable[[Row], Row]:
    """Rows with some features changed."""
    return lambda row: {name: changes[name](value) if name in changes else value for name, value in row.items()}


def each(function: Callable[[Any], Any]) -> Callable[[list[Any]], list[Any]]:
    return lambda values: [function(value) for value in values]


# The gaps of `seen` have four buckets, the last from four seconds on, where most of them are anyway.
NO_HISTORY = dict.fromkeys(("clicked__item", "clicked__topic", "clicked__time"), lambda values: [])


@pytest.mark.parametrize(
    ("planted", "expected"),
    [
        (change(age=lambda age: age + 8.0), {"age"}),
        (change(price=lambda price: 100.0 * price), {"price"}),
        (change(views=np.log), {"views"}),
        (change(item=lambda item: item.upper()), {"item"}),
        (change(seen__topic=each(lambda topic: topic and f"{topic} ")), {"seen__topic"}),
        (change(device=lambda device: ""), {"device"}),
        (change(tags=lambda tags: tags[:1]), {"tags", "tags (length)"}),
        (change(**NO_HISTORY), {"clicked (events)"}),
        (change(time=lambda time: time + 10**6), {"clicked__gap"}),
        (change(clicked__time=each(lambda time: time // 1000)), {"clicked__gap"}),
    ],
    ids="shifted cents logarithm upper_case space missing cut_lists no_history late_clock milliseconds".split(),
)  # fmt: skip
def test_planted_skew_is_found_and_nothing_else(
    data: PreparedData,
    served: ServedModel,
    model: Path,
    rows: list[Row],
    tmp_path: Path,
    planted: Callable[[Row], Row],
    expected: set[str],
) -> None:
    write(tmp_path / "log", data, served, [planted(row) for row in rows])
    result, found = skew(tmp_path / "log", model)
    assert result.code == 1
    assert exceeding(found) == expected
    for name in expected:
        assert name in result.out.splitlines()[-2]
    assert all(facts["off"] == 0 for facts in found["scores"]["1"].values())


def test_times_in_another_unit_and_events_to_come_are_told(
    data: PreparedData, served: ServedModel, model: Path, quiet: Path, rows: list[Row], tmp_path: Path
) -> None:
    assert skew(quiet, model)[1]["odd_time_rows"] == {}
    time = str(data.problem.keys.time)
    odd = [change(**{time: lambda value: 1000 * value})(row) for row in rows[:20]]
    odd += [change(clicked__time=each(lambda value: value + 10**8))(row) for row in rows[20:50]]
    write(tmp_path / "log", data, served, odd)
    result, found = skew(tmp_path / "log", model)
    assert found["odd_time_rows"]["wrong_unit"] == 20
    late = sum(bool(row["clicked__time"]) for row in rows[20:50])
    assert found["odd_time_rows"]["event_after_request"] == late > 10
    assert "20 rows were asked for at a time in another unit than training's." in " ".join(result.out.split())


def test_rates_tell_what_happened(
    data: PreparedData, served: ServedModel, model: Path, rows: list[Row], tmp_path: Path
) -> None:
    planted = change(item=lambda item: f"new {item}", topic=lambda topic: "", **NO_HISTORY)
    write(tmp_path / "log", data, served, [planted(row) for row in rows])
    _, found = skew(tmp_path / "log", model)
    columns = found["columns"]
    assert columns["item"]["out_of_vocabulary"][1] == 1.0 > columns["item"]["out_of_vocabulary"][0]
    assert columns["topic"]["missing"][1] == 1.0 > columns["topic"]["missing"][0]
    assert columns["clicked (events)"]["length"][1] == 0.0 < columns["clicked (events)"]["length"][0]


def test_limits_are_the_users(quiet: Path, model: Path) -> None:
    """A limit below chance is chance's."""
    assert skew(quiet, model, "--max-psi", "0")[0].code == 0
    assert skew(quiet, model, "--max-difference", "-1")[0].code == 1


# === Scores ===


def rewrite(source: Path, target: Path, edit: Callable[[int, Any], None]) -> None:
    """A log with its records edited."""
    target.mkdir()
    [file] = source.iterdir()
    with tf.io.TFRecordWriter(str(target / "edited.tfrecord")) as writer:
        for number, record in enumerate(tf.data.TFRecordDataset(str(file)).as_numpy_iterator()):
            log = prediction_log_pb2.PredictionLog.FromString(record)
            edit(number, log)
            writer.write(log.SerializeToString())


def test_tampered_scores_are_counted(quiet: Path, model: Path, run: Path, tmp_path: Path) -> None:
    def edit(number: int, log: Any) -> None:
        outputs = log.predict_log.response.outputs
        if number in (3, 7):
            outputs["buy"].float_val[2] += 0.01
        if number == 9:
            outputs["watch"].float_val[0] = float("nan")

    rewrite(quiet, tmp_path / "log", edit)
    result, found = skew(tmp_path / "log", model, "--run", run)
    assert result.code == 1
    assert "Served scores are not the graph's." in result.out
    for scores in (found["scores"]["1"], found["training_graph"]):
        assert {name: facts["off"] for name, facts in scores.items()} == {"click": 0, "buy": 2, "watch": 1}
        assert scores["buy"]["largest_difference"] == pytest.approx(0.01, abs=1e-5)
    assert exceeding(found) == set()
    assert skew(tmp_path / "log", model, "--max-difference", "0.02")[0].code == 1  # NaN is beyond every limit


def test_another_models_scores_are_found_and_absent_versions_told(
    quiet: Path, data: PreparedData, model: Path, tmp_path: Path
) -> None:
    """Version 2 answered, says the log, but its graph does not; version 5 is gone."""
    versions = Path(shutil.copytree(model, tmp_path / "model"))
    export(tiny_model(data.inputs, "mmoe"), data, versions)

    def edit(number: int, log: Any) -> None:
        log.predict_log.response.model_spec.version.value = 2 if number < 10 else 5

    rewrite(quiet, tmp_path / "log", edit)
    result, found = skew(tmp_path / "log", versions)
    assert result.code == 1
    assert found["scores"]["2"]["click"]["off"] > 40
    assert found["unchecked_requests"] == {"version 5 is not here": 20}
    assert "scores of 20 requests not checked: version 5 is not here." in result.out


def test_score_check() -> None:
    check = ScoreCheck(1e-3)
    check.add({"a": np.float32([0.5, 100.05]), "b": np.array([1.0])}, {"a": np.array([0.5, 100.0]), "c": np.zeros(1)})
    assert check.to_dict() == {"a": {"largest_difference": pytest.approx(5e-4, rel=1e-3), "scores": 2, "off": 0}}
    check.add({"a": np.array([np.inf, np.nan])}, {"a": np.array([np.inf, np.nan])})
    assert check.is_passed
    check.add({"a": np.array([0.502, 0.5])}, {"a": np.array([0.5, 0.5])})
    assert check.off == {"a": 1} and not check.is_passed
    check.add({"a": np.zeros(3)}, {"a": np.zeros(2)})
    assert check.off == {"a": 3} and np.isnan(check.largest["a"])


# === Logs of all kinds ===


def test_foreign_and_damaged_records_are_told_and_do_no_harm(quiet: Path, model: Path, tmp_path: Path) -> None:
    """As TF Serving writes them: without a version in the request, packed, other methods between."""

    def edit(number: int, log: Any) -> None:
        log.predict_log.request.model_spec.Clear()
        log.ClearField("log_metadata")
        if number < 2:
            del log.predict_log.request.inputs["age"]
        if number == 2:
            log.classify_log.SetInParent()

    rewrite(quiet, tmp_path / "log", edit)
    edited = tmp_path / "log" / "edited.tfrecord"
    packed = gzip.compress(edited.read_bytes())
    (tmp_path / "log" / "deeper").mkdir()
    (tmp_path / "log" / "deeper" / "packed.gz").write_bytes(packed)
    edited.write_bytes(edited.read_bytes()[:-10])
    (tmp_path / "log" / ".requests.partial").write_bytes(b"half")
    result, found = skew(tmp_path / "log", model)
    assert result.code == 0, result.err
    assert found["requests"] == 2 * 29 - 1
    assert found["foreign_requests"] == 4
    assert found["logged"] is None
    assert "4 requests have other features than the model." in result.out
    [warning] = found["warnings"]
    assert "edited.tfrecord' is damaged after 29 records and not read further" in warning


def foreign(number: int, log: Any) -> None:
    """Requests of another model, the first with a tensor that cannot be read."""
    log.predict_log.request.inputs["x"].dtype = 1 if number else 21


def test_only_so_many_requests(quiet: Path, model: Path) -> None:
    assert skew(quiet, model, "--requests", "4")[1]["requests"] == 4


@pytest.mark.parametrize(
    ("prepare_model", "arguments", "message"),
    [
        (None, ("{empty}", "{model}"), "skew: no file in '{empty}'. Give the folder of `tfmtl serve --log-requests`"),
        (None, ("{quiet}", "{empty}"), "skew: '{empty}' holds no version; there are: []."),
        (None, ("{quiet}", "{model}", "--version", "4"), "holds no version 4; there are: [1]."),
        (None, ("{quiet}", "{model}", "--run", "{empty}"), "skew: no run.json in '{empty}'."),
        (None, ("{quiet}", "{model}", "--data", "{empty}"), "which has no manifest.json"),
        (None, ("{quiet}", "{model}", "--data", "{other}"), "skew: `data` must be what the model was trained on."),
        ("training_profile.json", ("{quiet}", "{copy}"), "has no training_profile.json, because an earlier release"),
        (None, ("{foreign}", "{model}"), "must hold Predict requests to this model. Received: 29 of another one, 1"),
    ],
)
def test_errors(
    quiet: Path, model: Path, tmp_path: Path, prepare_model: str | None, arguments: Any, message: str
) -> None:
    places = {"quiet": quiet, "model": model, "empty": tmp_path / "empty", "copy": tmp_path / "copy"}
    places["empty"].mkdir()
    if prepare_model:
        shutil.copytree(model, places["copy"])
        (places["copy"] / "1" / "assets.extra" / prepare_model).unlink()
    if "{other}" in arguments:
        places["other"] = prepare(tmp_path / "fitted", log=next_day()).directory
    if "{foreign}" in arguments:
        places["foreign"] = tmp_path / "foreign"
        rewrite(quiet, places["foreign"], foreign)
    result = tfmtl("skew", *(argument.format(**places) for argument in arguments))
    assert result.code == 2
    assert message.format(**places) in result.err


# === Profiles ===


def test_a_profile_is_no_drift_from_itself_and_small(data: PreparedData) -> None:
    from tfmtl.data.feature_counts import FeatureCounts

    profile = FeatureProfile.of_split(data, "train")
    text = json.dumps(profile.to_dict())
    assert FeatureProfile.from_dict(json.loads(text)) == profile
    assert len(text) < 10_000
    counts = FeatureCounts(data.inputs)
    for features, _, _ in data.split("train", 100).as_numpy_iterator():
        counts.add(features)
    drifts = profile.compare(counts)
    assert {each.name for each in drifts} == set(profile.columns)
    assert max(each.psi for each in drifts) == 0.0
    assert FeatureProfile.of_split(data, "train", rows=50).examples == 50
