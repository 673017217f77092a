"""What keeps the tests of `make check` from starting anything works, in this test itself too."""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import LONG, LONGEST
from tests.support.no_starts import StartedSomething, nothing_started

STARTS: dict[str, Callable[[], object]] = {
    "subprocess": lambda: subprocess.run([sys.executable, "--version"], check=True),
    "fork": os.fork,
    "system": lambda: os.system("true"),
    "posix_spawn": lambda: os.posix_spawn(sys.executable, [sys.executable, "--version"], {}),
    "multiprocessing, forked": multiprocessing.get_context("fork").Process(target=print).start,
    "multiprocessing, spawned": multiprocessing.get_context("spawn").Process(target=print).start,
    "server": lambda: ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler),
}


@pytest.mark.parametrize("start", STARTS)
def test_a_test_without_a_mark_starts_nothing(start: str) -> None:
    with nothing_started(), pytest.raises(StartedSomething, match=r"Mark the test with @pytest\.mark\.process"):
        STARTS[start]()


@pytest.mark.process
def test_it_lasts_as_long_as_the_block() -> None:
    with nothing_started():
        with nothing_started(forbidden=False):
            assert os.system("true") == 0
        with pytest.raises(StartedSomething):
            os.system("true")
    assert subprocess.run([sys.executable, "-S", "-c", ""], check=False).returncode == 0


@pytest.mark.parametrize("place", (*LONG, *LONGEST))
def test_files_that_are_named_are_there(place: str) -> None:
    assert (Path(__file__).parents[1] / place).exists(), "bring LONG and LONGEST of tests/conftest.py up to date"
