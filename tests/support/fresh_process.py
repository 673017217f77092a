"""Fresh Python processes that have TensorFlow loaded already; as `subprocess` starts them, and four seconds faster."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from tests.support.warm_process import HOLD

ROOT = Path(__file__).parents[2]
_held: dict[Path, socket.socket] = {}


def warm_socket() -> Path:
    """The socket of the warm process, which is started by the first that asks, in whichever process of the tests."""
    folder = Path(os.environ["TFMTL_TESTS_SHARED"])
    path = folder / "socket"
    if path in _held:
        return path
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            command = [sys.executable, "-m", "tests.support.warm_process", str(path)]
            with (folder / "log").open("wb") as log:
                process = subprocess.Popen(
                    command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            while not path.exists():
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.02)
        hold = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        hold.connect(str(path))
        hold.sendall(HOLD)
        _held[path] = hold  # until this process ends
    return path


class FreshProcess:
    """A process that runs a script, a module (`-m`) or code (`-c`), as `subprocess.Popen` would.

    It has TensorFlow and Keras loaded and nothing of this repository, and TensorFlow has not computed anything.

    Args:
        *arguments: those of Python.
        env: variables of its environment; the repository is put into its `PYTHONPATH`. Defaults to `None`: this one's.
        cwd: the folder that it works in. Defaults to the repository.
        stdin, stdout, stderr: open files. Default to nothing.
    """

    def __init__(
        self,
        *arguments: object,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        stdin: IO[Any] | None = None,
        stdout: IO[Any] | None = None,
        stderr: IO[Any] | None = None,
    ) -> None:
        variables = {**(os.environ if env is None else env)}
        paths = [path for path in variables.get("PYTHONPATH", "").split(os.pathsep) if path and Path(path) != ROOT]
        variables["PYTHONPATH"] = os.pathsep.join([str(ROOT), *paths])
        sys.audit("subprocess.Popen", sys.executable, arguments, str(cwd), variables)
        job = {"arguments": list(map(str, arguments)), "env": variables, "cwd": str(cwd)}
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._connection.connect(str(warm_socket()))
        with open(os.devnull, "r+b") as nothing:
            streams = [(stream or nothing).fileno() for stream in (stdin, stdout, stderr)]
            socket.send_fds(self._connection, [json.dumps(job).encode()], streams)
        self.pid = self._number()
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit status, or `None` while it runs."""
        if self.returncode is None:
            with contextlib.suppress(BlockingIOError):
                self._connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
                self.wait()
        return self.returncode

    def wait(self) -> int:
        """The exit status, when it has ended."""
        if self.returncode is None:
            self.returncode = self._number()
            self._connection.close()
        return self.returncode

    def kill(self) -> None:
        """Ends it at once."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def _number(self) -> int:
        """The warm process's next message."""
        message = self._connection.recv(64)
        assert message, "the warm process has ended"
        return int(message)


def run_fresh(
    *arguments: object,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    input: str = "",
    check: bool = True,
) -> "subprocess.CompletedProcess[str]":
    """Runs a fresh process to its end, as `subprocess.run` does.

    Args:
        *arguments: of Python.
        env: variables of its environment. Defaults to `None`: this process's.
        cwd: the folder that it works in. Defaults to the repository.
        input: what it reads from its standard input.
        check: whether a status other than 0 is an error.

    Raises:
        AssertionError: It failed; with what it said.
    """
    with (
        tempfile.TemporaryFile("w+") as stdin,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
    ):
        stdin.write(input)
        stdin.flush()
        stdin.seek(0)
        code = FreshProcess(*arguments, env=env, cwd=cwd, stdin=stdin, stdout=out, stderr=err).wait()
        out.seek(0)
        err.seek(0)
        done = subprocess.CompletedProcess(list(map(str, arguments)), code, out.read(), err.read())
    assert not check or code == 0, f"ended with {code}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done
