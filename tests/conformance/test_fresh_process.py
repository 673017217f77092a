"""Processes out of the warm one do what Python does with the same arguments, and know nothing of each other."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.fresh_process import ROOT, FreshProcess, run_fresh

pytestmark = pytest.mark.process
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
SCRIPT = """
import os, sys
print(__name__, sys.argv[1:], os.getcwd(), os.environ.get("TFMTL_ONE"), sys.stdin.read(), sys.path[0])
print("said", file=sys.stderr)
"""


def plain(*arguments: str, **options: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


def test_a_script_runs_as_python_runs_it(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    arguments, environment = (str(tmp_path / "script.py"), "a", "b c"), {**ENVIRONMENT, "TFMTL_ONE": "1"}
    found, expected = (run(*arguments, env=environment, input="given") for run in (run_fresh, plain))
    assert (found.returncode, found.stdout, found.stderr) == (0, expected.stdout, expected.stderr)


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "1 / 0", "import sys; sys.exit('a reason')", "pass"])
def test_status_and_words_of_an_end(code: str) -> None:
    found, expected = run_fresh("-c", code, env=ENVIRONMENT, check=False), plain("-c", code, env=ENVIRONMENT)
    assert found.returncode == expected.returncode
    last = [done.stderr.strip().split("\n")[-1] for done in (found, expected)]
    assert last[0] == last[1]


def test_a_module_runs_as_python_runs_it() -> None:
    found, expected = (run("-m", "json.tool", env=ENVIRONMENT, input='{"a": 1}') for run in (run_fresh, plain))
    assert found.stdout == expected.stdout != ""


def test_tensorflow_is_loaded_and_nothing_of_this_repository() -> None:
    code = """
import sys
ours = [name for name in sys.modules if name.split(".")[0] in ("tfmtl",)]
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]  # raises where something has been computed
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
print("tensorflow" in sys.modules, ours, len(tf.config.list_logical_devices("CPU")))
"""
    for _ in range(2):
        assert run_fresh("-c", code).stdout == "True [] 2\n"


def test_a_process_is_watched_and_killed() -> None:
    with tempfile.TemporaryFile("w+") as out:
        process = FreshProcess("-c", "import time; print('here', flush=True); time.sleep(600)", stdout=out)
        assert process.poll() is None
        process.kill()
        assert process.wait() == process.poll() == -signal.SIGKILL


def test_a_process_is_seen_to_end() -> None:
    process = FreshProcess("-c", "raise SystemExit(5)")
    while process.poll() is None:
        pass
    assert process.poll() == process.wait() == 5
    process.kill()


def test_a_failure_is_an_error_with_what_was_said() -> None:
    with pytest.raises(AssertionError, match=r"ended with 1:\nfirst\n"):
        run_fresh("-c", "print('first'); raise ValueError('second')")
