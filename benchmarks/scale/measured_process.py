"""A command and everything it starts, measured by the system's own accounting."""

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

_EVERY = 0.2  # seconds between two looks at the memory
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """What a command took.

    Attributes:
        seconds: float. From start to end.
        processor_seconds: float. Of all its processes, user and system.
        peak_mib: int. Largest resident memory of all its processes together, looked at five times a second.
        largest_process_mib: int. Largest resident memory of one process, which the system keeps itself (`ru_maxrss`).
        disk_mib: int. Largest size that the watched folder had, temporary files included.
    """

    seconds: float
    processor_seconds: float
    peak_mib: int
    largest_process_mib: int
    disk_mib: int

    def to_dict(self) -> dict[str, float]:
        return {name: round(value, 1) for name, value in asdict(self).items()}


class TooLittleMemory(RuntimeError):
    """The command was ended because the machine had too little memory left."""


def run_measured(command: Sequence[str], watched: Path, least_free_mib: int = 3072) -> tuple[Usage, str]:
    """Runs a command to its end and returns what it took and what it printed.

    Args:
        command: program and arguments.
        watched: folder whose size is looked at meanwhile.
        least_free_mib: the command is ended when the machine has less memory left. Defaults to `3072`.

    Raises:
        TooLittleMemory: the machine had less than `least_free_mib` left.
        subprocess.CalledProcessError: the command failed.
    """
    with tempfile.TemporaryFile("w+") as said:
        return _watched(command, watched, least_free_mib, said)


def _watched(command: Sequence[str], watched: Path, least_free_mib: int, said: IO[str]) -> tuple[Usage, str]:
    started, peak, disk, looks = time.monotonic(), 0, 0, 0
    process = subprocess.Popen(list(command), stdout=said, stderr=subprocess.STDOUT)
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        peak = max(peak, sum(map(resident_mib, family(process.pid))))
        if looks % 10 == 0:
            disk = max(disk, folder_mib(watched))
        looks += 1
        if free_mib() < least_free_mib:
            for each in reversed(family(process.pid)):
                os.kill(each, 9)
            os.wait4(process.pid, 0)
            raise TooLittleMemory(f"less than {least_free_mib} MiB were left; ended: {' '.join(command)}")
        time.sleep(_EVERY)
    said.seek(0)
    process.returncode, text = os.waitstatus_to_exitcode(status), said.read()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command), text)
    usage_of_all = Usage(
        time.monotonic() - started,
        usage.ru_utime + usage.ru_stime,
        max(peak, usage.ru_maxrss // 1024),
        usage.ru_maxrss // 1024,
        max(disk, folder_mib(watched)),
    )
    return usage_of_all, text


def family(pid: int) -> list[int]:
    """A process and all that it started, as far as they run."""
    found = [pid]
    for each in found:
        for file in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                found += [int(child) for child in file.read_text().split()]
            except OSError:  # it has just ended
                continue
    return found


def resident_mib(pid: int) -> int:
    """Resident memory of a process; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE >> 20
    except OSError:
        return 0


def free_mib() -> int:
    """Memory that the machine can still give."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) >> 10
    return 1 << 30


def folder_mib(folder: Path) -> int:
    """Size of all files below a folder."""
    total = 0
    for directory, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(directory, name)).st_size
            except OSError:  # renamed or removed since
                continue
    return total >> 20
