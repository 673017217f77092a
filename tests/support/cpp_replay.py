"""`serving/cpp/replay.cc`, compiled against the tensorflow wheel."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from tests.support.shared_folder import shared_folder

_SOURCE = Path(__file__).parents[2] / "serving" / "cpp" / "replay.cc"


@dataclass(frozen=True)
class Replayed:
    """Exit status, and for each signature the number of requests and the largest difference."""

    code: int
    err: str
    counts: dict[str, int]
    gaps: dict[str, float]


class Replay:
    """The program, compiled once a test run; calling it replays a version's requests."""

    def __init__(self) -> None:
        self._program = shared_folder("cpp", _compile) / "replay"

    def __call__(self, version: Path) -> Replayed:
        result = subprocess.run(
            [str(self._program), str(version)],
            env={"TF_CPP_MIN_LOG_LEVEL": "3", "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
        lines = [line.split() for line in result.stdout.splitlines()]
        counts = {name: int(count) for name, count, _ in lines}
        return Replayed(result.returncode, result.stderr, counts, {name: float(gap) for name, _, gap in lines})


def _compile(folder: Path) -> None:
    wheel = Path(tf.__file__).parent
    libraries = ["-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2"]
    command = ["g++", "-O0", "-w", str(_SOURCE), "-o", str(folder / "replay"), *tf.sysconfig.get_compile_flags()]
    command += [f"-L{wheel}", f"-Wl,--no-as-needed,-rpath,{wheel}", *libraries]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
