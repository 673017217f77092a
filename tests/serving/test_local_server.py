"""The server's life: start, follow the directory under load, drain, stop."""

import socket
import threading
import time

import numpy as np
import pytest

from tests.serving.toy_models import break_version, export
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.rest_client import RestClient
from tfmtl.serving.server.served_model import ServedModel
from tfmtl.serving.serving_error import ServingError

pytestmark = pytest.mark.process

LONE = {"x": np.float32([10.0])}


def serve(base_dir, **options):
    return LocalServer(base_dir, "toy", **{"grpc_port": 0, "rest_port": 0, "poll_seconds": 0.05, **options})


def clients_of(server):
    return (
        GrpcClient(f"127.0.0.1:{server.grpc_port}", "toy"),
        RestClient(f"127.0.0.1:{server.rest_port}", "toy"),
    )


def ask(client, **options):
    """Returns the offset of the version that answers: y = 0.1 * 10 + offset."""
    return float(client.predict(LONE, signature_name="lone", timeout=30, **options)["y"][0]) - 1.0


def wait_until(condition):
    give_up = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up, "waited a minute in vain"
        time.sleep(0.02)


class TestStart:
    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            ([], r"which holds no version \(it holds \[\]\). Export a model there, such as into 1/."),
            (["latest", "v1"], r"which holds no version \(it holds \['latest', 'v1'\]\)."),
        ],
    )
    def test_a_base_directory_without_a_version_is_an_error(self, tmp_path, content, problem):
        for name in content:
            (tmp_path / name).mkdir()
        with pytest.raises(ValueError, match="LocalServer: `base_dir` must hold a directory .*" + problem):
            LocalServer(tmp_path, "toy")

    def test_a_missing_base_directory_is_an_error(self, tmp_path):
        with pytest.raises(ValueError, match=r"LocalServer: `base_dir` .*/none', which is not a directory"):
            LocalServer(tmp_path / "none", "toy")

    def test_a_version_given_as_base_directory_is_recognized(self, exported):
        with pytest.raises(ValueError, match=r"which is itself one version. Give the directory above it"):
            LocalServer(exported, "toy")

    @pytest.mark.parametrize(
        ("argument", "value"),
        [
            ("grpc_port", -1),
            ("rest_port", 65536),
            ("poll_seconds", 0),
        ],
    )
    def test_arguments_are_checked(self, exported, argument, value):
        with pytest.raises(ValueError, match=f"LocalServer: `{argument}` must .* Received: {argument}={value!r}"):
            LocalServer(exported.parent, "toy", **{argument: value})

    @pytest.mark.parametrize("name", ["", "a/b", "a:b"])
    def test_the_model_is_checked_as_one_of_several(self, exported, name):
        with pytest.raises(ValueError, match=f"ModelConfig: `name` must .* Received: name={name!r}"):
            LocalServer(exported.parent, name)
        with pytest.raises(ValueError, match=r"ModelConfig: `num_versions` must be at least 1\. Received: .*=0"):
            LocalServer(exported.parent, "toy", num_versions=0)

    def test_versions_that_are_all_broken_are_an_error(self, exported, tmp_path):
        break_version(exported, tmp_path, 7)
        with pytest.raises(ServingError, match=r"no version under .* can be loaded. version 7: DecodeError"):
            serve(tmp_path).start()

    @pytest.mark.parametrize("argument", ["grpc_port", "rest_port"])
    def test_a_taken_port_is_an_error_and_leaves_nothing_open(self, exported, argument):
        with serve(exported.parent) as first:
            port = getattr(first, argument)
            second = serve(exported.parent, **{argument: port})
            with pytest.raises(OSError, match=f"LocalServer: `{argument}` must be free on '127.0.0.1'.*={port}"):
                second.start()
            assert ask(clients_of(first)[0]) == 0.5
        with second:  # free again, so the failed start has to have closed its other port too
            assert getattr(second, argument) == port
            assert ask(clients_of(second)[1]) == 0.5

    def test_it_listens_on_this_machine_only(self, running_server):
        for port in (running_server.grpc_port, running_server.rest_port):
            socket.create_connection(("127.0.0.1", port), timeout=10).close()
            # All of 127.0.0.0/8 is this machine: a server on every address would answer here too.
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.2", port), timeout=10)

    def test_it_can_be_stopped_and_started_again_but_not_started_twice(self, exported):
        server = serve(exported.parent)
        server.stop()
        for _ in range(2):
            with server:
                for start in (server.start, server.serve_forever):
                    with pytest.raises(RuntimeError, match="LocalServer: the server already runs"):
                        start()
                assert ask(clients_of(server)[0]) == 0.5
            with pytest.raises(ServingError, match="no server answers"):
                ask(clients_of(server)[1])


class TestNewVersions:
    def test_a_swap_under_load_fails_no_request(self, tmp_path):
        export(tmp_path, 1, offset=1.0)
        with serve(tmp_path) as server:
            answers = {client: [] for client in clients_of(server) + clients_of(server)}
            failures = []
            swapped = threading.Event()

            def load(client):
                try:
                    while not swapped.is_set():
                        answers[client].append(ask(client))
                except Exception as error:
                    failures.append(error)

            threads = [threading.Thread(target=load, args=(client,)) for client in answers]
            for thread in threads:
                thread.start()
            for version in (2, 3):
                export(tmp_path, version, offset=float(version))
                everywhere = [[float(version)]] * len(answers)
                wait_until(lambda want=everywhere: failures or [given[-1:] for given in answers.values()] == want)
            swapped.set()
            for thread in threads:
                thread.join()
            assert failures == []
            for given in answers.values():
                assert sorted(set(given)) == [1.0, 2.0, 3.0]
                assert given == sorted(given)  # never back to an older version
            for client in clients_of(server):
                assert ask(client, version=3) == 3.0
                with pytest.raises(ServingError, match=r"NOT_FOUND: .*version 1 of model 'toy'"):
                    ask(client, version=1)
                assert [(each.version, each.state) for each in client.status()] == [
                    (3, "AVAILABLE"),
                    (2, "END"),
                    (1, "END"),
                ]

    def test_two_versions_can_be_served_and_pinned(self, tmp_path):
        for version in (1, 2):
            export(tmp_path, version, offset=float(version))
        with serve(tmp_path, num_versions=2) as server:
            for client in clients_of(server):
                assert (ask(client), ask(client, version=1), ask(client, version=2)) == (2.0, 1.0, 2.0)
                assert client.metadata(version=1).version == 1

    def test_clients_follow_a_version_that_renames_its_outputs(self, tmp_path):
        export(tmp_path, 1, score="lone")
        with serve(tmp_path) as server:
            clients = clients_of(server)
            for client in clients:
                assert set(client.predict(LONE, signature_name="score")) == {"y"}
            export(tmp_path, 2, score="pair")
            wait_until(lambda: clients[0].status()[0].state == "AVAILABLE" and clients[0].metadata().version == 2)
            for client in clients:
                outputs = client.predict(LONE, signature_name="score")
                assert {name: array.tolist() for name, array in outputs.items()} == {"low": [9.0], "high": [11.0]}

    def test_a_broken_version_leaves_the_old_one_serving_and_is_reported(self, exported, tmp_path):
        export(tmp_path, 1, offset=1.0)
        with serve(tmp_path) as server:
            broken = break_version(exported, tmp_path, 2)
            for client in clients_of(server):
                wait_until(lambda client=client: client.status()[0].state == "END")
                newest, oldest = client.status()
                assert (newest.version, newest.error_code) == (2, "UNKNOWN")
                assert "DecodeError" in newest.error_message
                assert (oldest.version, oldest.state) == (1, "AVAILABLE")
                assert ask(client) == 1.0
            broken.rename(tmp_path / "withdrawn")
            export(tmp_path, 3, offset=3.0)
            wait_until(lambda: ask(client) == 3.0)

    def test_a_base_directory_that_goes_away_is_survived(self, tmp_path, caplog):
        base_dir = tmp_path / "base"
        base_dir.mkdir()
        export(base_dir, 1, offset=1.0)
        with serve(base_dir) as server:
            client, _ = clients_of(server)
            base_dir.rename(tmp_path / "away")
            wait_until(lambda: "FileNotFoundError" in caplog.text)
            assert ask(client) == 1.0
            (tmp_path / "away").rename(base_dir)
            export(base_dir, 2, offset=2.0)
            wait_until(lambda: ask(client) == 2.0)


@pytest.fixture
def slow_predict(monkeypatch):
    """Holds every call in the model until the returned event `go` is set; `entered` tells one has arrived."""
    entered, go = threading.Event(), threading.Event()
    predict = ServedModel.predict

    def wait_and_predict(*arguments):
        entered.set()
        assert go.wait(60)
        return predict(*arguments)

    monkeypatch.setattr(ServedModel, "predict", wait_and_predict)
    yield entered, go
    go.set()


class TestRequestsUnderWay:
    @pytest.mark.parametrize("protocol", [0, 1], ids=["grpc", "rest"])
    def test_stopping_waits_for_them(self, exported, slow_predict, protocol):
        entered, go = slow_predict
        server = serve(exported.parent)
        server.start()
        client = clients_of(server)[protocol]
        go.set()
        ask(client)  # a RestClient reads the metadata after its first answer; later calls are one request
        go.clear()
        entered.clear()
        answers = []
        request = threading.Thread(target=lambda: answers.append(ask(client)))
        request.start()
        assert entered.wait(60)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        stopping.join(0.3)
        assert stopping.is_alive() and answers == []
        go.set()
        stopping.join(60)
        request.join(60)
        assert answers == [0.5]

    @pytest.mark.parametrize("protocol", [0, 1], ids=["grpc", "rest"])
    def test_a_call_past_its_deadline_is_given_up_and_others_go_on(self, exported, slow_predict, protocol):
        entered, go = slow_predict
        with serve(exported.parent) as server:
            client = clients_of(server)[protocol]
            with pytest.raises(ServingError, match=r"did not answer within 0\.5 s") as caught:
                client.predict(LONE, signature_name="lone", timeout=0.5)
            assert caught.value.code == "DEADLINE_EXCEEDED" and entered.is_set()
            assert client.status()[0].state == "AVAILABLE"  # while the model is still busy
            go.set()
            assert ask(client) == 0.5

    @pytest.mark.parametrize("protocol", [0, 1], ids=["grpc", "rest"])
    def test_a_bug_in_the_server_is_an_internal_error_and_no_end(self, exported, monkeypatch, protocol, caplog):
        with serve(exported.parent) as server:
            client = clients_of(server)[protocol]
            with monkeypatch.context() as patch:
                patch.setattr(ServedModel, "predict", lambda *_: {}["no such key"])
                with pytest.raises(ServingError, match="Internal error: KeyError: 'no such key'") as caught:
                    ask(client)
            assert "Traceback" in caplog.text
            assert caught.value.code == ("INTERNAL", "UNKNOWN")[protocol]
            assert ask(client) == 0.5
