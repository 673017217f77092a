"""Which requests are logged, as what, and that nothing about it touches the requests themselves."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tests.serving.toy_models import FEATURES
from tests.support.command import tfmtl
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.protocol.tensor_proto import tensor_to_array
from tfmtl.serving.rest_client import RestClient
from tfmtl.serving.server.request_log import RequestLog
from tfmtl.serving.serving_error import ServingError


def read(folder: Path) -> list[Any]:
    """The logs of all finished files, in order."""
    return [
        prediction_log_pb2.PredictionLog.FromString(record)
        for path in sorted(folder.glob("*.tfrecord"))
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    ]


def offer(log: RequestLog, number: int, padding: int = 0) -> None:
    inputs = {"x": np.array([number]), "text": np.array([b"x" * padding], object)}
    log.offer("toy", 3, "serving_default", inputs, {"y": np.float32([number])})


def numbers(folder: Path) -> list[int]:
    return [int(each.predict_log.request.inputs["x"].int64_val[0]) for each in read(folder)]


def until(condition: Callable[[], bool]) -> None:
    """Waits for the writing thread."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "the writing thread has not done it"
        time.sleep(0.01)


@pytest.mark.process
def test_both_protocols_and_only_what_was_answered(exported: Path, tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "log", rate=1.0)
    before = int(time.time())
    with LocalServer(exported.parent, "toy", grpc_port=0, rest_port=0, request_log=log) as server:
        with GrpcClient(f"127.0.0.1:{server.grpc_port}", "toy") as client:
            over_grpc = client.predict(FEATURES)
            with pytest.raises(ServingError):
                client.predict({"index": [9]}, signature_name="pick")
        over_rest = RestClient(f"127.0.0.1:{server.rest_port}", "toy").predict(FEATURES, version=3)
    found = read(tmp_path / "log")
    assert (len(found), log.written, log.dropped) == (2, 2, 0)
    for each, outputs in zip(found, (over_grpc, over_rest), strict=True):
        request, response = each.predict_log.request, each.predict_log.response
        for spec in (each.log_metadata.model_spec, request.model_spec, response.model_spec):
            assert (spec.name, spec.version.value, spec.signature_name) == ("toy", 3, "serving_default")
        assert before <= each.log_metadata.timestamp_secs <= time.time()
        assert each.log_metadata.sampling_config.sampling_rate == 1.0
        for arrays, tensors in ((FEATURES, request.inputs), (outputs, response.outputs)):
            assert set(arrays) == set(tensors)
            for name, array in arrays.items():
                np.testing.assert_array_equal(tensor_to_array(tensors[name]), array)


@pytest.mark.process
def test_no_log_by_default(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with LocalServer(exported.parent, "toy", grpc_port=0, rest_port=0) as server:
        RestClient(f"127.0.0.1:{server.rest_port}", "toy").predict(FEATURES)
    assert list(tmp_path.iterdir()) == []


def test_the_commands_options_arrive(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs: list[RequestLog | None] = []
    monkeypatch.setattr(LocalServer, "serve_forever", lambda server: logs.append(server._request_log))
    assert tfmtl("serve", exported.parent).code == 0
    result = tfmtl("serve", exported.parent, "--log-requests", tmp_path / "a", "--log-rate", "0.5", "--log-seed", "3")
    assert result.code == 0, result.err
    assert logs[0] is None and logs[1] is not None
    assert (logs[1]._folder, logs[1]._rate) == (tmp_path / "a", 0.5)
    assert logs[1]._random.getstate() == random.Random(3).getstate()
    wrong = tfmtl("serve", exported.parent, "--log-requests", tmp_path / "b", "--log-rate", "2")
    assert (wrong.code, "`rate` must be above 0 and at most 1" in wrong.err) == (2, True)


def test_the_rate_is_the_share_and_the_seed_the_sample(tmp_path: Path) -> None:
    samples = []
    for number, seed in enumerate((5, 5, 6)):
        folder = tmp_path / str(number)
        with RequestLog(folder, rate=0.1, seed=seed) as log:
            for each in range(2000):
                offer(log, each)
        samples.append(numbers(folder))
    assert samples[0] == samples[1] != samples[2]
    for sample in samples:
        assert 140 <= len(sample) <= 260  # 200 in the mean, with a standard deviation of 13
        assert sample == sorted(sample)


def test_files_are_cut_by_size_and_seen_only_when_whole(tmp_path: Path) -> None:
    with RequestLog(tmp_path, rate=1.0, max_file_bytes=3000) as log:
        for number in range(10):
            offer(log, number, padding=1000)
        until(lambda: log._waiting_bytes == 0)
        assert log.written == 9
        [partial] = tmp_path.glob(".*.partial")
        assert len(list(tmp_path.glob("*.tfrecord"))) == 3
        assert numbers(tmp_path) == list(range(9))
    assert not partial.exists()
    assert numbers(tmp_path) == list(range(10))


def test_an_old_file_is_finished_though_no_request_comes(tmp_path: Path) -> None:
    with RequestLog(tmp_path, rate=1.0, max_file_seconds=0.05) as log:
        offer(log, 1)
        until(lambda: numbers(tmp_path) == [1])
        offer(log, 2)
        until(lambda: numbers(tmp_path) == [1, 2])
    assert len(list(tmp_path.iterdir())) == 2


def test_what_does_not_fit_into_the_queue_is_dropped_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_open = threading.Event()
    write = RequestLog._write
    monkeypatch.setattr(RequestLog, "_write", lambda log, entry: is_open.wait(30) and write(log, entry))
    with RequestLog(tmp_path, rate=1.0, max_waiting_bytes=10_000) as log:
        for number in range(10):  # each takes a little more than 2 kB, and none is written meanwhile
            offer(log, number, padding=1000)
        assert log.dropped == 6
        is_open.set()
        until(lambda: log._waiting_bytes == 0)
        offer(log, 10)  # there is room again
    assert numbers(tmp_path) == [0, 1, 2, 3, 10]
    offer(log, 11)
    assert (log.written, log.dropped) == (5, 7)


@pytest.mark.process
def test_a_disk_that_takes_nothing_costs_the_log_alone(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "log"
    log = RequestLog(folder, rate=1.0)
    rename = "tfmtl.serving.server.request_log.os.rename"
    with LocalServer(exported.parent, "toy", grpc_port=0, rest_port=0, request_log=log) as server:
        client = RestClient(f"127.0.0.1:{server.rest_port}", "toy")
        folder.rmdir()
        client.predict(FEATURES)
        until(lambda: log.dropped == 1)
        folder.mkdir()
        client.predict(FEATURES)
        client.predict(FEATURES)
        until(lambda: log._waiting_bytes == 0)
        monkeypatch.setattr(rename, lambda *_: (_ for _ in ()).throw(OSError("no space left")))
    assert (log.written, log.dropped) == (0, 3)
    assert "Request log: 2 requests are lost. OSError: no space left" in caplog.text
    assert list(folder.iterdir()) == []


def test_the_folder_is_for_this_user_alone(tmp_path: Path) -> None:
    RequestLog(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 0.0}, "RequestLog: `rate` must be above 0 and at most 1. Received: rate=0.0."),
        ({"rate": 1.5}, "RequestLog: `rate` must be above 0 and at most 1. Received: rate=1.5."),
        ({"rate": float("nan")}, "RequestLog: `rate` must be above 0"),
        ({"max_file_bytes": 0}, "RequestLog: `max_file_bytes` must be a positive number. Received: max_file_bytes=0."),
        ({"max_file_seconds": -1.0}, "RequestLog: `max_file_seconds` must be a positive number."),
        ({"max_waiting_bytes": 0}, "RequestLog: `max_waiting_bytes` must be a positive number."),
    ],
)
def test_arguments_are_checked(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        RequestLog(tmp_path / "log", **options)
    assert str(caught.value).startswith(message)
    assert not (tmp_path / "log").exists()


def test_files_are_for_this_user_alone_in_whatever_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with RequestLog(tmp_path, rate=1.0, max_file_seconds=0.01) as log:
        offer(log, 1)
        until(lambda: bool(list(tmp_path.glob("requests-*"))))
        offer(log, 2)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


@pytest.mark.process
def test_what_a_killed_server_left_is_finished_by_the_next(tmp_path: Path) -> None:
    """Two that were killed, one whose last record is cut, and one that still runs."""
    killed = """
import os, sys
from tests.serving.test_request_log import RequestLog, offer, until, Path
folder = Path(sys.argv[1])
log = RequestLog(folder, rate=1.0).__enter__()
for number in range(3):
    offer(log, number)
until(lambda: log._waiting_bytes == 0)
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", killed, str(tmp_path)], check=False, stderr=subprocess.DEVNULL)
    (partial,) = tmp_path.glob(".requests-*.partial")
    cut = partial.read_bytes()[:-5]
    (tmp_path / ".requests-of-another.tfrecord.partial").write_bytes(cut)
    (tmp_path / ".requests-empty.tfrecord.partial").write_bytes(b"")
    (tmp_path / ".foreign.partial").write_bytes(cut)
    with RequestLog(tmp_path, rate=1.0) as running:
        offer(running, 7)
        until(lambda: running._waiting_bytes == 0)
        with RequestLog(tmp_path, rate=1.0) as second:
            offer(second, 8)
            until(lambda: second._waiting_bytes == 0)
        assert sorted(numbers(tmp_path)) == [0, 0, 1, 1, 2, 8]
        assert len(list(tmp_path.glob(".*.partial"))) == 2  # the foreign one, and that of the log that runs
    assert sorted(numbers(tmp_path)) == [0, 0, 1, 1, 2, 7, 8]


def test_a_full_folder_takes_no_more_and_says_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with RequestLog(tmp_path, rate=1.0, max_file_bytes=1, max_folder_bytes=300) as log:
        for number in range(9):
            offer(log, number)
        until(lambda: log._waiting_bytes == 0)
        assert 0 < log.written < 9 and log.dropped == 9 - log.written
        assert len([each for each in caplog.messages if "Take files away to go on." in each]) == 1
        written = log.written
        for path in tmp_path.glob("requests-*"):
            path.unlink()
        offer(log, 9)
        until(lambda: log.written > written)
