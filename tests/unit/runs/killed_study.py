"""Searches in a folder and kills itself at a report of a trial, or is interrupted as by Ctrl-C: its trials, too.

python -m tests.unit.runs.killed_study <data> <output> <reports> <SIGKILL or SIGINT>
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from optuna.trial import Trial

from tests.support.toy_study import toy_study


def main(data: str, output: str, reports: str, name: str) -> None:
    """Ends at the given number of reports."""
    os.setsid()  # a group of processes of its own
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which whoever started it may have switched off
    report, seen = Trial.report, []

    def report_or_die(self: Trial, value: float, step: int) -> Any:
        report(self, value, step)
        seen.append(value)
        if len(seen) == int(reports):
            end = os.killpg if name == "SIGINT" else os.kill
            end(os.getpid(), getattr(signal, name))

    Trial.report = report_or_die  # type: ignore[method-assign]
    toy_study(Path(data), Path(output)).run(8, lambda sentence: None)


if __name__ == "__main__":
    main(*sys.argv[1:])
