"""Versions come and go under load, requests batched: none fails, each answer is one version's own."""

import threading

import numpy as np
import pytest

from tests.serving.test_local_server import wait_until
from tests.serving.toy_models import break_version, export
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.rest_client import RestClient
from tfmtl.serving.server.batching_options import BatchingOptions
from tfmtl.serving.server.model_config import ModelConfig
from tfmtl.serving.server.model_registry import ModelRegistry

pytestmark = pytest.mark.process

CLIENTS = 6


@pytest.mark.parametrize("batching", [None, BatchingOptions(max_batch_size=8)], ids=["alone", "batched"])
def test_a_swap_under_load_answers_with_one_version_or_the_other(tmp_path, batching):
    first = export(tmp_path, 1, offset=1.0)
    with LocalServer(tmp_path, "toy", grpc_port=0, rest_port=0, poll_seconds=0.05, batching=batching) as server:
        answers, failures, stop = {number: [] for number in range(CLIENTS)}, [], threading.Event()

        def load(number):
            inputs = {"x": np.float32([number, 10.0 * number])}
            versions = {
                tuple((inputs["x"] * np.float32(0.1) + np.float32(offset)).tolist()): offset for offset in (1.0, 2.0)
            }
            address = f"127.0.0.1:{(server.rest_port, server.grpc_port)[number % 2]}"
            client = (RestClient, GrpcClient)[number % 2](address, "toy")
            try:
                while not stop.is_set():
                    answer = client.predict(inputs, signature_name="lone", timeout=60)["y"]
                    answers[number].append(versions[tuple(answer.tolist())])  # a KeyError for anything else
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=load, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        wait_until(lambda: failures or all(answers.values()))
        export(tmp_path, 2, offset=2.0)
        wait_until(lambda: failures or all(given[-1:] == [2.0] for given in answers.values()))
        break_version(first, tmp_path, 3)
        with GrpcClient(f"127.0.0.1:{server.grpc_port}", "toy") as client:
            wait_until(lambda: failures or (client.status()[0].version, client.status()[0].state) == (3, "END"))
            seen = {number: len(given) for number, given in answers.items()}
            wait_until(lambda: failures or all(len(answers[number]) > count + 3 for number, count in seen.items()))
            stop.set()
            for thread in threads:
                thread.join()
            assert failures == []
            for given in answers.values():
                assert set(given) == {1.0, 2.0} and given == sorted(given)
            wait_until(lambda: client.status(1)[0].state == "END")
            third, second, _ = client.status()
            assert (third.version, third.state, third.error_code) == (3, "END", "UNKNOWN")
            assert "DecodeError" in third.error_message
            assert (second.version, second.state) == (2, "AVAILABLE")


def test_a_version_ends_when_its_last_request_does(tmp_path):
    export(tmp_path, 1)
    registry = ModelRegistry(ModelConfig("toy", tmp_path))
    registry.refresh()
    under_way = registry.get()
    export(tmp_path, 2)
    registry.refresh()
    assert [(each.version, each.state) for each in registry.statuses()] == [(2, "AVAILABLE"), (1, "UNLOADING")]
    assert under_way.predict("lone", {"x": np.float32([0.0])})["y"].tolist() == [0.0]
    del under_way
    assert registry.statuses(1)[0].state == "END"
