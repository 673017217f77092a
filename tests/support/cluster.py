"""Several processes of one TensorFlow cluster on this machine."""

import json
import os
import socket
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.support.fresh_process import FreshProcess

_TAKEN = ("Address already in use", "Could not start gRPC server", "Failed to bind", "No address added out of total")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at this moment; all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Cluster:
    """Processes that run one script, each told by `TF_CONFIG` which of them it is.

    Use as a context manager, which ends whatever still runs. What a process prints goes to a file of its own.

    Args:
        jobs: job -> number of processes.
        command: arguments of Python, the same for all.
    """

    def __init__(self, jobs: Mapping[str, int], *command: object) -> None:
        self._jobs = jobs
        self._command = command

    def __enter__(self) -> "Cluster":
        ports = iter(free_ports(sum(self._jobs.values())))
        addresses = {job: [f"127.0.0.1:{next(ports)}" for _ in range(count)] for job, count in self._jobs.items()}
        self._logs = tempfile.TemporaryDirectory()
        self.processes: dict[tuple[str, int], FreshProcess] = {}
        for job, own in addresses.items():
            for index in range(len(own)):
                config = {"cluster": addresses, "task": {"type": job, "index": index}}
                environment = {**os.environ, "TF_CONFIG": json.dumps(config)}
                with self._log(job, index).open("wb") as log:
                    self.processes[job, index] = FreshProcess(*self._command, env=environment, stdout=log, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        for job, index in self.processes:
            self.kill(job, index)
        self._logs.cleanup()

    def kill(self, job: str, index: int) -> None:
        """Ends a process at once, if it still runs."""
        process = self.processes[job, index]
        if process.poll() is None:
            process.kill()
            process.wait()

    def wait(self, job: str, seconds: float) -> None:
        """Waits for all processes of a job.

        Raises:
            AssertionError: one of them failed, or the time is over; with what it printed last.
        """
        end = time.monotonic() + seconds
        waiting = [key for key in self.processes if key[0] == job]
        while waiting:
            for key in list(waiting):
                code = self.processes[key].poll()
                if code is not None:
                    assert code == 0, f"{key} ended with {code}:\n{self.printed(*key)[-4000:]}"
                    waiting.remove(key)
            assert time.monotonic() < end, f"{waiting} had not ended after {seconds} s:\n" + "\n".join(
                self.printed(*key)[-2000:] for key in waiting
            )
            time.sleep(0.1)

    def printed(self, job: str, index: int) -> str:
        """What a process has printed so far."""
        return self._log(job, index).read_text(errors="replace")

    def lost_a_port(self) -> bool:
        """Whether a process failed because somebody else took its port meanwhile."""
        return any(text in self.printed(*key) for key in self.processes for text in _TAKEN)

    def _log(self, job: str, index: int) -> Path:
        return Path(self._logs.name) / f"{job}_{index}.log"


def run_workers(count: int, *command: object, seconds: float) -> None:
    """Runs `count` workers to their end; where another program took a port in between, once more.

    Raises:
        AssertionError: a worker failed, or the time is over.
    """
    for attempt in range(3):
        with Cluster({"worker": count}, *command) as cluster:
            try:
                cluster.wait("worker", seconds)
            except AssertionError:
                if attempt < 2 and cluster.lost_a_port():
                    continue
                raise
            return
