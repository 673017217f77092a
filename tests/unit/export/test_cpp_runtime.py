"""The exported graph on the C++ runtime that TF Serving is built on, without Python."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.server.warmup import WARMUP_FILE
from tests.support.saved_model_operations import foreign_operations, operations

SOURCE = Path(__file__).parents[3] / "serving" / "cpp" / "replay.cc"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`serving/cpp/replay.cc`, compiled against the tensorflow wheel."""
    path, wheel = tmp_path_factory.mktemp("cpp") / "replay", Path(tf.__file__).parent
    libraries = ["-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2"]
    command = ["g++", "-O0", "-w", str(SOURCE), "-o", str(path), *tf.sysconfig.get_compile_flags()]
    command += [f"-L{wheel}", f"-Wl,--no-as-needed,-rpath,{wheel}", *libraries]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return path


def replay(program: Path, version: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(program), str(version)],
        env={"TF_CPP_MIN_LOG_LEVEL": "3", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_answers_as_the_training_graph(program: Path, version: Path, copy: Path) -> None:
    result = replay(program, version)
    assert result.returncode == 0, result.stdout + result.stderr
    found = {name: (int(count), float(gap)) for name, count, gap in map(str.split, result.stdout.splitlines())}
    assert set(found) == {"serving_default", "serve_examples", "rank"}
    for count, gap in found.values():
        assert count == 3
        assert gap <= 1e-5
    # A wrong answer is seen.
    path = copy / WARMUP_FILE
    logs = [prediction_log_pb2.PredictionLog.FromString(item.numpy()) for item in tf.data.TFRecordDataset(str(path))]
    values = np.copy(tf.make_ndarray(logs[-1].predict_log.response.outputs["buy"]))
    values[-1] += 0.01
    logs[-1].predict_log.response.outputs["buy"].CopyFrom(tf.make_tensor_proto(values, tf.float32))
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())
    wrong = replay(program, copy)
    assert wrong.returncode == 1
    assert [line.split()[0] for line in wrong.stdout.splitlines() if float(line.split()[2]) > 1e-5] == ["rank"]
    # So are requests that are missing, and a folder that is no export.
    path.write_bytes(b"")
    assert replay(program, copy).returncode == 1
    assert replay(program, copy.parent).returncode == 2


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
