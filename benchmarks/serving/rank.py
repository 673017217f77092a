"""How much faster are N candidates of one user scored by `rank` than as N examples by `serving_default`.

    python -m benchmarks.serving.rank <exported version> [candidates ...]

Both sides in one process, in turn; medians over the rounds, of `rank` the 99th percentile, too. The requests are an
export's own: its users, its items.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfmtl.export.raw_batch import to_rank_tensors, to_tensors
from tfmtl.folders import ExportedVersion

_ROUNDS = 120
_WARM_UP = 10
_CANDIDATES = (1, 50, 500, 2000)


def main(version: Path, candidates: tuple[int, ...]) -> None:
    """Prints the table for one exported version."""
    signatures = tf.saved_model.load(str(version)).signatures
    lines = ExportedVersion(version).golden_rank.read_text(encoding="utf-8").split("\n")[:-1]
    # The user with the longest histories: what is saved is their encoding.
    requests = [json.loads(line) for line in lines]
    request = max(requests, key=_num_events)
    print(
        f"{'candidates':>10}  {'serving_default':>15}  {'rank':>9}  {'p99':>10}  {'ratio':>6}  "
        f"{'largest difference':>18}"
    )
    for count in candidates:
        items = [request["candidates"][row % len(request["candidates"])] for row in range(count)]
        rank, serve = signatures["rank"], signatures["serving_default"]
        once = to_rank_tensors(request["user"], items, rank.structured_input_signature[1])
        rows = [{**request["user"], **item} for item in items]
        repeated = to_tensors(rows, serve.structured_input_signature[1])
        (whole, _), (shared, slowest) = _seconds(lambda: serve(**repeated), lambda: rank(**once))  # noqa: B023 - called in this round
        answers = serve(**repeated), rank(**once)
        difference = max(float(np.max(np.abs(answers[0][name] - answers[1][name]))) for name in answers[0])
        times = f"{whole * 1e3:>12.2f} ms  {shared * 1e3:>6.2f} ms  {slowest * 1e3:>7.2f} ms  {shared / whole:>6.3f}"
        print(f"{count:>10}  {times}  {difference:>18.1e}")


def _num_events(request: dict[str, Any]) -> int:
    return sum(len(value) for value in request["user"].values() if isinstance(value, list))


def _seconds(*sides: Callable[[], Any]) -> list[tuple[float, float]]:
    """The median time of each side, called in turn, and its 99th percentile."""
    times: list[list[float]] = [[] for _ in sides]
    for round_ in range(_WARM_UP + _ROUNDS):
        for side, found in zip(sides, times, strict=True):
            started = time.perf_counter()
            side()
            if round_ >= _WARM_UP:
                found.append(time.perf_counter() - started)
    return [(statistics.median(found), float(np.percentile(found, 99))) for found in times]


if __name__ == "__main__":
    main(Path(sys.argv[1]), tuple(map(int, sys.argv[2:])) or _CANDIDATES)
