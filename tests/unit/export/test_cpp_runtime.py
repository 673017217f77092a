"""The exported graph on the C++ runtime that TF Serving is built on, without Python."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tests.support.cpp_replay import Replay
from tests.support.saved_model_operations import foreign_operations, operations
from tfmtl.folders import ExportedVersion


@pytest.mark.slow
def test_answers_as_the_training_graph(cpp_replay: Replay, version: Path, copy: Path) -> None:
    result = cpp_replay(version)
    assert result.code == 0, result.err
    assert set(result.gaps) == {"serving_default", "serve_examples", "rank"}
    assert set(result.counts.values()) == {3}
    assert max(result.gaps.values()) <= 1e-5
    # A wrong answer is seen.
    path = ExportedVersion(copy).warmup
    logs = [prediction_log_pb2.PredictionLog.FromString(item.numpy()) for item in tf.data.TFRecordDataset(str(path))]
    values = np.copy(tf.make_ndarray(logs[-1].predict_log.response.outputs["buy"]))
    values[-1] += 0.01
    logs[-1].predict_log.response.outputs["buy"].CopyFrom(tf.make_tensor_proto(values, tf.float32))
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())
    wrong = cpp_replay(copy)
    assert wrong.code == 1
    assert [name for name, gap in wrong.gaps.items() if gap > 1e-5] == ["rank"]
    # So are requests that are missing, and a folder that is no export.
    path.write_bytes(b"")
    assert cpp_replay(copy).code == 1
    assert cpp_replay(copy.parent).code == 2


def test_a_function_of_python_would_be_seen(tmp_path: Path) -> None:
    module = tf.Module()
    module.f = tf.function(
        lambda x: tf.numpy_function(lambda y: y, [x], tf.float32), input_signature=[tf.TensorSpec((None,), tf.float32)]
    )
    tf.saved_model.save(module, str(tmp_path))
    assert foreign_operations(tmp_path) == {"PyFunc"}
    assert "ReadVariableOp" not in operations(tmp_path)


def test_only_operations_of_a_stock_server(version: Path) -> None:
    assert foreign_operations(version) == set()
    assert {"LookupTableFindV2", "ResourceGather", "Bucketize", "ParseExampleV2"} <= operations(version)
