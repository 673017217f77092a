"""Two stages in one SavedModel: what a server, and whoever writes a client, finds in it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tests.support.cpp_replay import Replay
from tests.support.saved_model_operations import foreign_operations
from tests.support.two_stages import ITEM
from tfmtl.export.replay import replay
from tfmtl.folders import ExportedVersion
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.rest_client import RestClient
from tfmtl.serving.serving_error import ServingError

# Not marked as slow: it would be among the first files, and wait for the two stages that another makes.


@pytest.fixture(scope="module")
def server(two_stages: tuple[Path, str]) -> Iterator[LocalServer]:
    with LocalServer(two_stages[0] / "two_stage", "tiny", grpc_port=0, rest_port=0) as server:
        yield server


def test_one_server_recommends_and_ranks(two_stages: tuple[Path, str], server: LocalServer) -> None:
    extra = two_stages[0] / "two_stage" / "1" / "assets.extra"
    golden = json.loads((extra / "golden_recommend.jsonl").read_text().splitlines()[0])
    asked = {name: [value] for name, value in golden["user"].items()} | {"k": golden["k"]}
    asked = {name: np.empty((1, 0), object) if value == [[]] else value for name, value in asked.items()}
    ranking = json.loads((extra / "requests" / "rank.json").read_text())["inputs"]
    rest = RestClient(f"http://127.0.0.1:{server.rest_port}", "tiny")
    with GrpcClient(f"127.0.0.1:{server.grpc_port}", "tiny") as client:
        for predict in (client.predict, rest.predict):
            found = predict(asked, signature_name="recommend", timeout=30.0)
            assert [value.decode() for value in found[ITEM][0]] == golden["response"][ITEM]
            np.testing.assert_allclose(found["order"][0], golden["response"]["order"], rtol=1e-5)
            assert set(predict(ranking, signature_name="rank", timeout=30.0)) == {"click", "buy", "watch"}
        with pytest.raises(ServingError, match="must be positive"):
            client.predict({**asked, "k": 0}, signature_name="recommend", timeout=30.0)


def test_only_operations_of_a_stock_server(two_stages: tuple[Path, str]) -> None:
    for name in ("retrieval", "two_stage"):
        assert foreign_operations(two_stages[0] / name / "1") == set()


def test_answers_without_python(two_stages: tuple[Path, str], cpp_replay: Replay, tmp_path: Path) -> None:
    """The lists' scores as calling one stage after the other gave them, on the runtime that TF Serving is built on."""
    result = cpp_replay(two_stages[0] / "two_stage" / "1")
    assert result.code == 0, result.err
    assert set(result.gaps) == {"serving_default", "serve_examples", "rank", "recommend"}
    assert result.counts["recommend"] == 2
    assert max(result.gaps.values()) <= 1e-5


@pytest.mark.parametrize(("output", "gap"), [("buy", 0.01), (ITEM, float("inf"))])
def test_wrong_list_is_seen_without_python(
    two_stages: tuple[Path, str], cpp_replay: Replay, tmp_path: Path, output: str, gap: float
) -> None:
    copy = Path(shutil.copytree(two_stages[0] / "two_stage" / "1", tmp_path / "1"))
    path = ExportedVersion(copy).warmup
    *_, last = (record.numpy() for record in tf.data.TFRecordDataset(str(path)))
    log = prediction_log_pb2.PredictionLog.FromString(last)
    outputs = log.predict_log.response.outputs
    values = np.copy(tf.make_ndarray(outputs[output]))
    values[-1, 3] += b"?" if output == ITEM else gap
    outputs[output].CopyFrom(tf.make_tensor_proto(values, outputs[output].dtype))
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(log.SerializeToString())
    result = cpp_replay(copy)
    assert (result.code, list(result.gaps)) == (1, ["recommend"])
    assert result.gaps["recommend"] == pytest.approx(gap, rel=1e-3)


def test_page_schema_and_warm_up_tell_of_the_list(two_stages: tuple[Path, str]) -> None:
    extra = two_stages[0] / "two_stage" / "1" / "assets.extra"
    page = (extra / "signature.md").read_text()
    assert "## rank\n" in page
    assert "## recommend\n" in page
    assert "| `k` | int32 | `()` |" in page
    bodies = {body["title"]: body for body in json.loads((extra / "signature.json").read_text())["oneOf"]}
    body = json.loads((extra / "requests" / "recommend.json").read_text())
    assert set(body["inputs"]) == set(bodies["recommend"]["properties"]["inputs"]["required"])
    records = [bytes(record.numpy()) for record in tf.data.TFRecordDataset(str(extra / "tf_serving_warmup_requests"))]
    assert sum(b"recommend" in record for record in records) == 2


def test_wrong_list_is_seen(two_stages: tuple[Path, str], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(two_stages[0] / "two_stage" / "1", tmp_path / "1"))
    golden = copy / "assets.extra" / "golden_recommend.jsonl"
    lines = [json.loads(line) for line in golden.read_text().splitlines()]
    lines[-1]["response"]["buy"][3] += 0.01
    golden.write_text("".join(json.dumps(line) + "\n" for line in lines))
    differences = replay(copy).differences
    assert differences.pop("recommend") == pytest.approx(0.01, rel=1e-3)
    assert max(differences.values()) < 1e-5
    lines[-1]["response"][ITEM][0] = "another"
    golden.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert replay(copy).differences["recommend"] == float("inf")
