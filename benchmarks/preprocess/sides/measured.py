"""The measurement of one side's run. Imports nothing of tfmtl, as each side has its own environment."""

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any


def task() -> dict[str, Any]:
    """`files`, `output` and `options` of this process."""
    return dict(json.loads(sys.argv[1]))


def measured(run: Callable[[], int]) -> None:
    """Prints what `run`, which returns the number of rows it wrote, took; imports lie before and do not count."""
    started = time.perf_counter()
    before = _seconds()
    rows = run()
    wall, cpu = time.perf_counter() - started, _seconds() - before
    peak = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({"rows": rows, "wall": wall, "cpu": cpu, "peak_mib": peak // 1024}))


def _seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
