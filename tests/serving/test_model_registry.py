"""What is loaded, what is not, and what is said about it, as the base directory changes."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from tests.serving.toy_models import break_version
from tfmtl.folders.version_folders import find_versions, odd_folders
from tfmtl.serving.server import model_registry
from tfmtl.serving.server.model_config import ModelConfig
from tfmtl.serving.server.model_registry import ModelRegistry
from tfmtl.serving.server.served_model import ServedModel
from tfmtl.serving.serving_error import ServingError


@pytest.fixture
def put(exported, tmp_path):
    """Puts a copy of the export into the base directory under a number."""

    def copy(version, name=None):
        unfinished = shutil.copytree(exported, tmp_path / "unfinished")
        return unfinished.rename(tmp_path / (name or str(version)))

    return copy


def states(registry):
    return {status.version: status.state for status in registry.statuses()}


def test_only_numbers_are_versions(tmp_path):
    newest = 2**63 - 1
    for name in ("2", "00010", "9", "009", "3.tmp", "temp-4", "-5", "٣", str(newest), str(newest + 1), "1" * 200):
        (tmp_path / name).mkdir()
    (tmp_path / "77").write_text("a file")
    assert {version: path.name for version, path in find_versions(tmp_path).items()} == {
        newest: str(newest), 10: "00010", 9: "9", 2: "2"
    }  # fmt: skip
    assert odd_folders(tmp_path) == ["009", "1" * 200, "3.tmp", str(newest + 1)]


def test_a_copy_beside_a_version_is_named_once_and_passed_over(put, tmp_path, caplog):
    put(1)
    put(1, "1.bak")
    registry = ModelRegistry(ModelConfig("toy", tmp_path))
    with caplog.at_level("WARNING"):
        registry.refresh()
        registry.refresh()
    assert states(registry) == {1: "AVAILABLE"}
    (message,) = caplog.messages
    assert "1.bak' is no version of model 'toy'" in message


def test_a_passing_shortage_is_tried_again_after_growing_pauses(put, tmp_path, monkeypatch):
    put(1)
    now, tries = [0.0], []

    def load(directory, version):
        tries.append(now[0])
        if len(tries) < 4:
            raise OSError(24, "Too many open files")
        return ServedModel(directory, version)

    monkeypatch.setattr(model_registry, "ServedModel", load)
    registry = ModelRegistry(ModelConfig("toy", tmp_path), clock=lambda: now[0])
    for second in range(12):
        now[0] = float(second)
        registry.refresh()
    assert tries == [0.0, 1.0, 3.0, 7.0]
    assert states(registry) == {1: "AVAILABLE"}


def test_of_versions_that_are_gone_few_are_remembered(put, tmp_path, monkeypatch):
    monkeypatch.setattr(model_registry, "_MOST_ENDED", 2)
    registry = ModelRegistry(ModelConfig("toy", tmp_path))
    for version in range(1, 6):
        put(version)
        registry.refresh()
        shutil.rmtree(tmp_path / str(version))
    registry.refresh()
    registry.refresh()
    assert states(registry) == {5: "END", 4: "END"}


def test_the_newest_is_served_and_replaces_the_one_before(put, tmp_path):
    put(1)
    put(9)
    registry = ModelRegistry(ModelConfig("toy", tmp_path))
    registry.refresh()
    assert registry.get().version == 9
    assert states(registry) == {9: "AVAILABLE"}
    put(10)
    registry.refresh()
    assert registry.get().version == registry.get(10).version == 10
    assert states(registry) == {10: "AVAILABLE", 9: "END"}
    assert [status.version for status in registry.statuses()] == [10, 9]
    assert registry.statuses(9)[0].error_code == "OK"
    with pytest.raises(ServingError, match=r"NOT_FOUND: .*version 9 of model 'toy'. Available versions: \[10\]"):
        registry.get(9)


def test_several_versions_may_be_served(put, tmp_path):
    for version in (1, 2, 3):
        put(version)
    registry = ModelRegistry(ModelConfig("toy", tmp_path, num_versions=2))
    registry.refresh()
    assert states(registry) == {3: "AVAILABLE", 2: "AVAILABLE"}
    assert registry.get(2).version == 2


def test_nothing_is_loaded_twice(put, tmp_path):
    put(1)
    registry = ModelRegistry(ModelConfig("toy", tmp_path))
    registry.refresh()
    model = registry.get()
    registry.refresh()
    assert registry.get() is model


def test_a_removed_version_is_unloaded_and_an_older_one_takes_over(put, tmp_path):
    put(1)
    newest = put(2)
    registry = ModelRegistry(ModelConfig("toy", tmp_path))
    registry.refresh()
    shutil.rmtree(newest)
    registry.refresh()
    assert registry.get().version == 1
    assert states(registry) == {2: "END", 1: "AVAILABLE"}
    shutil.rmtree(tmp_path / "1")
    registry.refresh()
    with pytest.raises(ServingError, match=r"NOT_FOUND: .*any version of model 'toy'. Available versions: \[\]"):
        registry.get()


def test_the_previous_version_answers_while_the_next_one_loads(put, tmp_path, monkeypatch):
    put(1)
    registry = ModelRegistry(ModelConfig("toy", tmp_path))
    registry.refresh()
    put(2)
    seen = {}

    def load(directory, version):
        seen["serving"] = registry.get().version
        seen["states"] = states(registry)
        return ServedModel(directory, version)

    monkeypatch.setattr(model_registry, "ServedModel", load)
    registry.refresh()
    assert seen == {"serving": 1, "states": {1: "AVAILABLE", 2: "LOADING"}}
    assert registry.get().version == 2


def test_a_broken_version_is_passed_over_reported_and_tried_again_when_repaired(put, exported, tmp_path, caplog):
    caplog.set_level("WARNING")
    put(1)
    registry = ModelRegistry(ModelConfig("toy", tmp_path))
    registry.refresh()
    broken = break_version(exported, tmp_path, 2)
    registry.refresh()
    assert registry.get().version == 1
    assert states(registry) == {1: "AVAILABLE", 2: "END"}
    (status,) = registry.statuses(2)
    assert status.error_code == "UNKNOWN" and "DecodeError" in status.error_message
    assert caplog.messages == [f"Version 2 of model 'toy' failed to load. {status.error_message}"]
    registry.refresh()
    assert len(caplog.messages) == 1  # an unchanged version is not tried again
    shutil.copy(exported / "saved_model.pb", broken / "saved_model.pb")
    registry.refresh()
    assert registry.get().version == 2
    assert states(registry) == {2: "AVAILABLE", 1: "END"}


def test_a_version_still_being_copied_is_loaded_when_complete(exported, tmp_path):
    target = tmp_path / "1"
    target.mkdir()
    registry = ModelRegistry(ModelConfig("toy", tmp_path))
    registry.refresh()
    (status,) = registry.statuses()
    assert (status.state, status.error_code) == ("END", "NOT_FOUND")
    assert "holds no saved_model.pb" in status.error_message
    shutil.copy(exported / "saved_model.pb", target)
    registry.refresh()
    assert states(registry) == {1: "END"}
    shutil.copytree(exported / "variables", target / "variables")
    registry.refresh()
    assert states(registry) == {1: "AVAILABLE"}


def test_a_graph_that_is_not_for_serving_is_refused(tmp_path):
    graph = tf.Graph()
    with graph.as_default():
        tf.constant(1.0)
        builder = tf.compat.v1.saved_model.Builder(str(tmp_path / "1"))
        with tf.compat.v1.Session(graph=graph) as session:
            builder.add_meta_graph_and_variables(session, ["train"])
        builder.save()
    registry = ModelRegistry(ModelConfig("toy", tmp_path))
    registry.refresh()
    (status,) = registry.statuses()
    assert status.error_code == "FAILED_PRECONDITION" and "no graph tagged 'serve'" in status.error_message


def test_a_base_directory_that_cannot_be_read_changes_nothing(put, tmp_path):
    base_dir = tmp_path / "base"
    base_dir.mkdir()
    put(1).rename(base_dir / "1")
    registry = ModelRegistry(ModelConfig("toy", base_dir))
    registry.refresh()
    base_dir.rename(tmp_path / "away")
    with pytest.raises(FileNotFoundError):
        registry.refresh()
    assert registry.get().version == 1


def write_warmup_requests(directory, *requests):
    path = directory / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in requests:
            log = prediction_log_pb2.PredictionLog()
            log.predict_log.request.CopyFrom(request)
            writer.write(log.SerializeToString())


def make_lone_request(input_name):
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = "lone"
    request.inputs[input_name].CopyFrom(tf.make_tensor_proto(np.float32([1.0])))
    return request


def test_recorded_requests_are_replayed_before_a_version_is_available(put, tmp_path, monkeypatch, caplog):
    write_warmup_requests(put(1), make_lone_request("x"), make_lone_request("x"))
    registry = ModelRegistry(ModelConfig("toy", tmp_path))
    calls = []
    predict = ServedModel.predict

    def record(model, signature_name, inputs, output_filter=()):
        calls.append((signature_name, list(inputs), states(registry)))
        return predict(model, signature_name, inputs, output_filter)

    monkeypatch.setattr(ServedModel, "predict", record)
    with caplog.at_level("INFO"):
        registry.refresh()
    assert calls == [("lone", ["x"], {1: "LOADING"})] * 2
    assert "Version 1 of model 'toy' is available (2 warm-up requests)." in caplog.messages


def test_a_version_that_refuses_its_own_recorded_request_is_broken(put, tmp_path):
    write_warmup_requests(put(1), make_lone_request("y"))
    registry = ModelRegistry(ModelConfig("toy", tmp_path))
    registry.refresh()
    (status,) = registry.statuses()
    assert (status.state, status.error_code) == ("END", "INVALID_ARGUMENT")
    assert "'y' is not an input" in status.error_message
