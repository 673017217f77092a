"""A problem with pictures goes the whole way, from the log to what is answered to a request."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support.picture_problem import log_of_pictures, problem_of_pictures
from tests.support.pictures import BROKEN, png
from tests.support.tiny_problem import prepare, whole_split
from tests.support.whole_way import check_is_learned_and_kept, check_is_served_as_trained
from tfmtl.data import PreparedData
from tfmtl.data.example_spec import raw_signature
from tfmtl.export.raw_batch import to_examples, to_tensors
from tfmtl.pipelines.runs.score_requests import score_requests
from tfmtl.report import data_report
from tfmtl.retrieval.retrieval_options import RetrievalOptions
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.serving_error import ServingError


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return prepare(tmp_path_factory.mktemp("pictures"), problem_of_pictures(), log=log_of_pictures())


def test_rows_with_broken_pictures_are_rejected_and_counted(data: PreparedData) -> None:
    rejected = data.manifest["rows_rejected"]
    assert sum(rejected.values()) == len(BROKEN)
    assert rejected["column 'photo' is not a PNG or JPEG picture"] == 2
    lines = "".join(path.read_text() for path in (data.directory / "rejected").iterdir()).splitlines()
    assert len(lines) == len(BROKEN)
    assert max(map(len, lines)) < 2_000  # no picture is written out


def test_records_hold_pixels(data: PreparedData) -> None:
    features, _ = whole_split(data, "train")
    assert features["photo"].dtype == tf.uint8
    assert features["photo"].shape[1:] == (12, 12, 1)
    is_missing = features["photo__missing"].numpy() > 0.0
    assert is_missing.sum() == 2
    assert not features["photo"].numpy()[is_missing].any()
    assert features["photo"].numpy()[~is_missing].std() > 10.0


def test_it_learns_is_measured_and_kept(run: Any, data: PreparedData) -> None:
    model, folder = run
    assert model.embedding.field_names[-2:] == ("photo", "badge")
    check_is_learned_and_kept(model, folder, data)


def test_every_signature_answers_as_the_training_graph(version: Path) -> None:
    check_is_served_as_trained(version)


def test_the_pages_say_what_it_takes(version: Path, data: PreparedData, tmp_path: Path) -> None:
    page = (version / "assets.extra" / "signature.md").read_text()
    assert "bytes of a PNG or JPEG picture of side `item`" in page
    body = json.loads((version / "assets.extra" / "requests" / "serving_default.json").read_text())
    assert base64.b64decode(body["inputs"]["photo"][0]["b64"]).startswith(b"\x89PNG")
    schema = json.loads((version / "assets.extra" / "signature.json").read_text())
    [by_name] = [each for each in schema["oneOf"] if each["title"] == "serving_default"]
    assert by_name["properties"]["inputs"]["properties"]["photo"]["items"]["properties"] == {
        "b64": {"type": "string", "contentEncoding": "base64"}
    }
    data_report(data, tmp_path / "report.html")
    assert "12 x 12 pixels, 1 channels" in (tmp_path / "report.html").read_text()


def test_the_two_towers_do_not_read_pictures(data: PreparedData) -> None:
    with pytest.raises(ValueError, match=r"must have no pictures.*photo"):
        RetrievalOptions().resolved(data.problem)


def test_a_file_of_requests_says_pictures_in_base64(version: Path, data: PreparedData, tmp_path: Path) -> None:
    request = dict(data.requests()[0]["features"])
    picture = {"b64": base64.b64encode(png(40, 30)).decode()}
    path = tmp_path / "requests.jsonl"
    path.write_text("".join(json.dumps({**request, "photo": each}) + "\n" for each in (picture, "", {"b64": ""})))
    answers = list(score_requests(version.parent, path))
    assert answers[1] == answers[2] != answers[0]


@pytest.mark.parametrize("what", BROKEN)
def test_the_graph_refuses_what_is_no_picture(version: Path, data: PreparedData, what: str) -> None:
    loaded = _loaded(version)
    request = {**data.requests()[0]["features"], "photo": BROKEN[what]}
    signature = raw_signature(data.problem)
    with pytest.raises(tf.errors.InvalidArgumentError, match="photo"):
        loaded.signatures["serving_default"](**to_tensors([request], signature))
    with pytest.raises(tf.errors.InvalidArgumentError, match="photo"):
        loaded.signatures["serve_examples"](examples=tf.constant(to_examples([request], signature)))


_LOADED: dict[Path, Any] = {}


def _loaded(version: Path) -> Any:
    if version not in _LOADED:
        _LOADED[version] = tf.saved_model.load(str(version))
    return _LOADED[version]


# === Served ===


@pytest.mark.process
def test_a_client_sends_files_as_they_are(client: Any, run: Any, data: PreparedData) -> None:
    rows = [dict(each["features"]) for each in data.requests()[:4]]
    rows[0]["photo"], rows[1]["photo"], rows[2]["badge"] = png(50, 40), "", png(3, 3)
    found = client.predict(rows)["click"]
    expected = run[0](data.transform()(to_tensors(rows, raw_signature(data.problem))))["click"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.process
@pytest.mark.parametrize("what", ["no picture", "a cut JPEG", "a bomb"])
def test_a_broken_picture_is_answered_with_the_feature(client: Any, data: PreparedData, what: str) -> None:
    row = {**data.requests()[0]["features"], "photo": BROKEN[what]}
    with pytest.raises(ServingError) as caught:
        client.predict([row])
    assert caught.value.code == "INVALID_ARGUMENT"
    assert "photo" in str(caught.value)


@pytest.mark.process
def test_broken_pictures_fail_no_other_request(served: LocalServer, data: PreparedData) -> None:
    row = dict(data.requests()[0]["features"])
    with GrpcClient(f"127.0.0.1:{served.grpc_port}", "tiny", timeout=120.0) as client:
        expected = client.predict([row])["click"]

        def ask(number: int) -> Any:
            photo = [*BROKEN.values()][number % len(BROKEN)] if number % 3 == 0 else row["photo"]
            try:
                return client.predict([{**row, "photo": photo}])["click"]
            except ServingError as error:
                return error.code

        with ThreadPoolExecutor(12) as pool:
            found = list(pool.map(ask, range(36)))
    for number, answer in enumerate(found):
        if number % 3 == 0:
            assert answer == "INVALID_ARGUMENT"
        else:
            np.testing.assert_allclose(answer, expected, rtol=1e-5)
