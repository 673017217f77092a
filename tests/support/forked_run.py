"""Training runs in forked processes, which may be killed at any moment, and what they said."""

import os
import traceback
from collections.abc import Callable
from pathlib import Path


def forked(screen: Path, job: Callable[[], None]) -> int:
    """The number of a new process that does the job and ends; what it prints is appended to the file `screen`."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        file = os.open(screen, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
        job()
        status = 0
    except BaseException:
        traceback.print_exc()
    os._exit(status)


def said(output: Path, scenario: str) -> list[str]:
    """What the attempts of a scenario said about where they go on, of all that stands in `<output>/<scenario>.txt`."""
    lines = (output / f"{scenario}.txt").read_text().splitlines()
    return [line for line in lines if line.startswith(("Resumed", "Nothing", "Starting again"))]
