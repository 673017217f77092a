"""The job on this machine without an engine, in one process and in several."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.engines import whole, write_log
from tests.support.small_log import SMALL_PROBLEM, run, small_log, write_csv
from tfmtl.preprocessing.local import run as local_run
from tfmtl.preprocessing.local.helper_process import HelperProcess
from tfmtl.preprocessing.local.worker import Worker
from tfmtl.preprocessing.plan import Plan
from tfmtl.preprocessing.reading.input_error import InputError


def test_it_writes_what_beam_writes(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log")
    run(tmp_path / "local", log)
    run(tmp_path / "beam", log, engine="beam")
    assert whole(tmp_path / "local") == whole(tmp_path / "beam")
    assert "rejected/file-00000.jsonl" in whole(tmp_path / "local")


@pytest.mark.process
def test_a_helper_does_its_share_and_changes_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = write_log(tmp_path / "log")
    run(tmp_path / "alone", log, split_file=True)
    helped: list[str] = []
    monkeypatch.setattr(local_run, "Worker", _waiting_for_a_helper(helped))
    for name in ("read", "count", "write"):
        monkeypatch.setattr(HelperProcess, name, _noted(helped, name, getattr(HelperProcess, name)))
    run(tmp_path / "helped", log, split_file=True, workers=2)
    assert whole(tmp_path / "helped") == whole(tmp_path / "alone")
    assert set(helped) == {"read", "count", "write"}


@pytest.mark.process
def test_an_error_of_the_log_is_the_same_from_a_helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = write_csv(tmp_path / "log.csv", small_log(60))
    log.with_suffix(".csv.gz").write_bytes(b"\x1f\x8b cut off")
    log.unlink()
    plan = Plan(SMALL_PROBLEM, str(tmp_path / "out"), num_shards=3)
    helper = HelperProcess(plan, {})
    try:
        helper.wait_until_ready()
        with pytest.raises(InputError, match="is not readable to its end"):
            helper.read(0, str(log.with_suffix(".csv.gz")))
        with pytest.raises(RuntimeError, match="a helping process failed: FileNotFoundError"):
            helper.write(0, [(str(tmp_path / "none"), 0, 1)], plan.find_cuts({}), _no_statistics())
        os.kill(helper._process.pid, signal.SIGKILL)
        with pytest.raises(RuntimeError, match="a helping process ended with status -9"):
            helper.times()
    finally:
        helper.end()


def _no_statistics() -> Any:
    class Nothing:
        def save(self, folder: Path) -> None:
            pass

    return Nothing()


def _noted(helped: list[str], name: str, do: Any) -> Any:
    def noting(*arguments: Any) -> Any:
        helped.append(name)
        return do(*arguments)

    return noting


def _waiting_for_a_helper(helped: list[str]) -> type[Worker]:
    """A worker that leaves a task of each kind to the helper: it begins when that has begun."""

    class Waiting(Worker):
        def read(self, *arguments: Any) -> Any:
            _wait(helped, "read")
            return super().read(*arguments)

        def count(self, *arguments: Any) -> Any:
            _wait(helped, "count")
            return super().count(*arguments)

        def write(self, *arguments: Any) -> Any:
            _wait(helped, "write")
            return super().write(*arguments)

    return Waiting


def _wait(helped: list[str], name: str) -> None:
    import time

    until = time.monotonic() + 120
    while name not in helped and time.monotonic() < until:
        time.sleep(0.01)
