"""A problem with vectors goes the whole way, from the log to what is answered to a request."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import prepare, whole_split
from tests.support.vector_problem import log_of_vectors, problem_of_vectors
from tests.support.whole_way import check_is_learned_and_kept, check_is_served_as_trained
from tfmtl.data import PreparedData
from tfmtl.data.example_spec import raw_signature
from tfmtl.data.feature_counts import FeatureCounts
from tfmtl.data.feature_profile import FeatureProfile
from tfmtl.export.raw_batch import to_examples, to_tensors
from tfmtl.pipelines.runs.score_requests import score_requests
from tfmtl.pipelines.skew.find_skew import SkewOptions, find_skew
from tfmtl.report import data_report
from tfmtl.serving.deployment.deploy_files import DeployOptions, write_deploy_files
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.protocol.feature_error import FeatureError
from tfmtl.serving.server.request_log import RequestLog
from tfmtl.serving.server.served_model import ServedModel
from tfmtl.serving.serving_error import ServingError


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return prepare(tmp_path_factory.mktemp("vectors"), problem_of_vectors(), log=log_of_vectors())


def test_rows_that_cannot_be_are_rejected_with_their_reason(data: PreparedData) -> None:
    assert data.manifest["rows_rejected"] == {
        "column 'picture' is not 4 numbers long": 1,
        "column 'picture' holds NaN or an infinity": 1,
        "column 'note' is not 2 numbers long": 1,
        "column 'note' holds something that is no number": 1,
    }


def test_records_hold_what_was_read(data: PreparedData) -> None:
    features, _ = whole_split(data, "train")
    assert features["picture"].shape[1:] == (4,)
    is_missing = features["picture__missing"].numpy() > 0.0
    assert is_missing.sum() == 2
    assert not features["picture"].numpy()[is_missing].any()
    known = features["picture"].numpy()[~is_missing]
    np.testing.assert_allclose(known.mean(axis=0), 0.0, atol=1e-4)
    np.testing.assert_allclose(known.std(axis=0), 1.0, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(features["taste"], axis=1), 1.0, rtol=1e-6)


def test_it_learns_is_measured_and_kept(run: Any, data: PreparedData) -> None:
    model, folder = run
    assert model.embedding.field_names[-3:] == ("picture", "taste", "note")
    check_is_learned_and_kept(model, folder, data)


def test_every_signature_answers_as_the_training_graph(version: Path) -> None:
    check_is_served_as_trained(version)


def test_it_says_what_it_takes(version: Path, tmp_path: Path) -> None:
    extra = version / "assets.extra"
    page = (extra / "signature.md").read_text()
    assert "4 numbers of side `item`, all of them NaN where missing" in page
    assert "picture" in json.dumps(json.loads((extra / "signature.json").read_text()))
    write_deploy_files({"tiny": version.parent}, tmp_path / "deploy", DeployOptions(budget=10_000.0))
    assert (tmp_path / "deploy" / "models.config").is_file()


def test_a_missing_vector_is_said_in_three_ways(version: Path, data: PreparedData, tmp_path: Path) -> None:
    request = dict(data.requests()[0]["features"])
    path = tmp_path / "requests.jsonl"
    lines = [{**request, "picture": []}, {**request, "picture": [float("nan")] * 4}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    answers = list(score_requests(version.parent, path))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("bad", [[1.0, 2.0, 3.0, float("nan")], [1.0, 2.0, 3.0, float("inf")]])
def test_the_graph_refuses_what_is_no_vector(version: Path, data: PreparedData, bad: list[float]) -> None:
    loaded = tf.saved_model.load(str(version))
    request = {**data.requests()[0]["features"], "picture": bad}
    signature = raw_signature(data.problem)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"picture.* must hold 4 finite numbers"):
        loaded.signatures["serving_default"](**to_tensors([request], signature))
    with pytest.raises(tf.errors.InvalidArgumentError, match="picture"):
        loaded.signatures["serve_examples"](examples=tf.constant(to_examples([request], signature)))


def test_an_example_of_another_length_is_refused(version: Path, data: PreparedData) -> None:
    loaded = tf.saved_model.load(str(version))
    request = {**data.requests()[0]["features"], "picture": [1.0, 2.0]}
    with pytest.raises(tf.errors.InvalidArgumentError, match="picture"):
        loaded.signatures["serve_examples"](examples=tf.constant(to_examples([request], raw_signature(data.problem))))


# === Served ===


@pytest.mark.process
def test_both_protocols_answer_as_the_training_graph(client: Any, run: Any, data: PreparedData) -> None:
    kept = data.requests()[:5]
    rows = [dict(each["features"]) for each in kept]
    rows[1]["picture"], rows[2]["picture"], rows[3]["picture"] = [], None, [float("nan")] * 4
    found = client.predict(rows)["click"]
    tensors = to_tensors([{**row, "picture": row["picture"] or []} for row in rows], raw_signature(data.problem))
    expected = run[0](data.transform()(tensors))["click"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.process
@pytest.mark.parametrize("bad", [[1.0, 2.0, 3.0, float("nan")], [1.0, float("-inf"), 0.0, 0.0], [1.0, 2.0]])
def test_a_request_that_is_no_vector_is_answered_with_the_feature(client: Any, data: PreparedData, bad: Any) -> None:
    row = {**data.requests()[0]["features"], "picture": bad}
    with pytest.raises((ServingError, FeatureError)) as caught:
        client.predict([row])
    assert "picture" in str(caught.value)
    if isinstance(caught.value, ServingError):
        assert caught.value.code == "INVALID_ARGUMENT"


_PROGRAM = """
import json, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow" or name.startswith(("tfmtl.features", "tfmtl.tasks")):
            raise ImportError(f"{name} must not be needed")

sys.meta_path.insert(0, Blocked())
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.rest_client import RestClient
grpc_port, rest_port, rows = json.loads(sys.argv[1])
rest = RestClient(f"127.0.0.1:{rest_port}", "tiny", timeout=120.0)
with GrpcClient(f"127.0.0.1:{grpc_port}", "tiny", timeout=120.0) as grpc:
    answers = [client.predict(rows)["click"].tolist() for client in (grpc, rest)]
try:
    import tensorflow
except ImportError:
    print(json.dumps(answers))
"""


@pytest.mark.process
def test_a_client_without_tensorflow_asks_with_vectors(served: LocalServer, run: Any, data: PreparedData) -> None:
    rows = [dict(each["features"]) for each in data.requests()[:3]]
    rows[1]["picture"], rows[2]["picture"] = [], None
    given = json.dumps([served.grpc_port, served.rest_port, rows])
    result = subprocess.run([sys.executable, "-c", _PROGRAM, given], check=True, capture_output=True, text=True)
    tensors = to_tensors([{**row, "picture": row["picture"] or []} for row in rows], raw_signature(data.problem))
    expected = run[0](data.transform()(tensors))["click"]
    for found in json.loads(result.stdout):
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_drift_is_seen_in_lengths_and_in_what_is_missing(version: Path, data: PreparedData) -> None:
    profile = FeatureProfile.from_dict(json.loads((version / "assets.extra" / "training_profile.json").read_text()))
    assert {"picture", "picture given (length)"} <= set(profile.columns)
    features, _ = whole_split(data, "train")
    counts = FeatureCounts(data.inputs)
    counts.add({name: values.numpy() for name, values in features.items()})
    assert not [each.name for each in profile.compare(counts) if each.exceeds(0.25)]
    gone = {name: values.numpy() for name, values in features.items()}
    gone["picture__missing"] = np.ones_like(gone["picture__missing"])
    without = FeatureCounts(data.inputs)
    without.add(gone)
    assert "picture given (length)" in [each.name for each in profile.compare(without) if each.exceeds(0.25)]


def test_the_report_names_it(data: PreparedData, tmp_path: Path) -> None:
    data_report(data, tmp_path / "report.html")
    assert "4 numbers, z_score" in (tmp_path / "report.html").read_text()


def test_logged_requests_are_compared(version: Path, data: PreparedData, tmp_path: Path) -> None:
    model = ServedModel(version, 1)
    with RequestLog(tmp_path / "log", rate=1.0) as log:
        for kept in data.requests():
            tensors = to_tensors([kept["features"]], raw_signature(data.problem))
            inputs = {name: value.numpy() for name, value in tensors.items()}
            log.offer("tiny", 1, "serving_default", inputs, model.predict("serving_default", inputs))
    found = find_skew(tmp_path / "log", version.parent, SkewOptions())
    assert found.rows == len(data.requests())
    assert "picture" in [each.name for each in found.drifts]
    assert max(found.graphs[1].largest.values()) < 1e-5
