"""A server in a process of its own, and what it takes of the machine."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Resources:
    """What a process holds.

    Args:
        megabytes: float. Resident memory.
        descriptors: int. Open files and sockets.
        threads: int.
    """

    megabytes: float
    descriptors: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> "Resources":
        """Reads `/proc`."""
        process = Path(f"/proc/{pid}")
        pages = int((process / "statm").read_text().split()[1])
        threads, descriptors = (len(os.listdir(process / name)) for name in ("task", "fd"))
        return cls(pages * _PAGE_BYTES / 2**20, descriptors, threads)


@dataclass(frozen=True)
class ServerProcess:
    """A running `python -m tfmtl.serving.serve`.

    Args:
        process: the process.
        grpc_address: str. `"host:port"`.
        rest_address: str. Likewise.
        log: Path. What it has written so far.
    """

    process: subprocess.Popen[str]
    grpc_address: str
    rest_address: str
    log: Path

    def resources(self) -> Resources:
        """What it holds now."""
        return Resources.of(self.process.pid)

    @property
    def rest_port(self) -> int:
        return int(self.rest_address.rpartition(":")[2])

    @property
    def grpc_port(self) -> int:
        return int(self.grpc_address.rpartition(":")[2])


@contextmanager
def server_process(base_dir: Path, model_name: str, log: Path, *options: str) -> Iterator[ServerProcess]:
    """Starts a server on free ports, waits until it answers, and ends it."""
    command = [sys.executable, "-m", "tfmtl.serving.serve", base_dir, "--model-name", model_name]
    with open(log, "w") as output:
        process = subprocess.Popen(
            [*command, "--grpc-port", "0", "--rest-port", "0", *options], stderr=output, stdout=output, text=True
        )
    try:
        yield ServerProcess(process, *_wait_for_addresses(process, log), log)
    finally:
        process.kill()
        process.wait()


def _wait_for_addresses(process: subprocess.Popen[str], log: Path) -> tuple[str, str]:
    while process.poll() is None:
        found = re.search(r"gRPC on (\S+), REST on https?://([^/]+)/", log.read_text())
        if found:
            return found[1], found[2]
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
    raise RuntimeError(f"The server ended with {process.returncode}: {log.read_text()}")
