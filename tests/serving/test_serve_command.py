"""The command that serves: `tfmtl serve`, and `python -m tfmtl.serving.serve`."""

import logging
import re
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tests.serving.toy_models import FEATURES
from tests.support.command import tfmtl
from tfmtl.pipelines.cli.app import app
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.rest_client import RestClient
from tfmtl.serving.serve import main, serve
from tfmtl.serving.server.batching_options import BatchingOptions
from tfmtl.serving.server.server_options import choose_batching

COMMAND = (sys.executable, "-m", "tfmtl.serving.serve")


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_signal(exported, number):
    command = (*COMMAND, exported.parent, "--model-name", "toy", "--grpc-port", "0", "--rest-port", "0")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        lines = iter(process.stderr.readline, "")
        found = next(filter(None, (re.search(r"gRPC on (\S+), REST on http://([^/]+)/", line) for line in lines)))
        with GrpcClient(found[1], "toy") as client:
            over_grpc, over_rest = client.predict(FEATURES), RestClient(found[2], "toy").predict(FEATURES)
            np.testing.assert_array_equal(over_grpc["click"], over_rest["click"])
        process.send_signal(number)
        rest = process.stderr.read()
        assert process.wait(60) == 0
        assert "Stopping" in rest and "Traceback" not in rest


@pytest.fixture
def invoke(monkeypatch, capsys):
    """Runs the command in this process."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)  # the process's logging belongs to the tests

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["serve", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return SimpleNamespace(exit_code=ended.value.code, stdout=out, stderr=err)

    return run


def test_a_mistake_is_one_line_and_a_status(invoke, tmp_path):
    done = invoke(str(tmp_path))
    assert done.exit_code == 1 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: LocalServer: `base_dir` must hold a directory named by a version number.")


def test_help_names_every_option(invoke):
    done = invoke("--help")
    assert done.exit_code == 0
    for option in ("--model-name", "--host", "--grpc-port", "--rest-port", "--poll-seconds", "--num-versions"):
        assert option in done.stdout
    for option in ("--max-message-bytes", "--max-rows", "--max-requests", "--max-connections", "--read-seconds"):
        assert option in done.stdout
    for option in ("--idle-seconds", "--tls-certificate", "--tls-key", "--tls-client-ca", "--token-file"):
        assert option in done.stdout
    for option in ("--enable-batching", "--batching-parameters-file", "--model-config-file", "--log-requests"):
        assert option in done.stdout


def test_limits_and_security_are_options(invoke, exported, tmp_path):
    done = invoke(str(exported.parent), "--max-rows", "0")
    assert done.exit_code == 1 and "Error: Limits: `max_rows` must be positive." in done.stderr
    (tmp_path / "token").write_text("short")
    done = invoke(str(exported.parent), "--token-file", str(tmp_path / "token"))
    assert done.exit_code == 1 and "Error: Security: `token_file` must hold one word" in done.stderr


def test_a_directory_or_a_file_of_models_is_given(invoke, exported, tmp_path):
    assert "give a directory or a `model_config_file`, one of them" in invoke().stderr
    path = tmp_path / "models.config"
    path.write_text("custom_model_config { }")
    both = invoke(str(exported.parent), "--model-config-file", str(path))
    assert "one of them" in both.stderr
    assert "must be a model_config_list" in invoke("--model-config-file", str(path)).stderr


def test_tfmtl_has_the_same_command():
    [command] = [each for each in app.registered_commands if each.callback is serve]
    assert command.name in (None, "serve")


def test_a_model_is_called_as_its_problem_or_its_folder(exported, monkeypatch):
    names = []
    monkeypatch.setattr(LocalServer, "serve_forever", lambda server: names.append(server._configs[0].name))
    folder = exported.parent
    for options in ((), ("--model-name", "a"), ("--name", "b")):
        assert tfmtl("serve", folder, *options).code == 0
    assert names == [folder.name, "a", "b"]


def test_batching_is_off_unless_asked_for(tmp_path):
    path = tmp_path / "batching.config"
    path.write_text("max_batch_size { value: 16 }")
    assert choose_batching(False, None) is None
    assert choose_batching(True, None) == BatchingOptions()
    assert choose_batching(False, path) == choose_batching(True, path) == BatchingOptions(16)
