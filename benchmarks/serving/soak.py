"""Does a server stay as it is under a crowd: no error, no wrong answer, flat memory.

    python -m benchmarks.serving.soak <folder of an exported model> [--clients 200] [--seconds 60]

Starts `python -m tfmtl.serving.serve` on the folder, asks the export's golden requests from many connections at once,
half of them gRPC and half REST, and compares every answer with the golden one.
"""

import json
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tensorflow as tf
import typer

from benchmarks.serving.crowd import Case, Crowd
from benchmarks.serving.server_process import Resources, server_process
from tfmtl.export.raw_batch import to_tensors
from tfmtl.folders import ExportedVersion

_WARM_UP_SECONDS = 5.0
# The golden answers are the training graph's; the served graph's may differ by rounding.
_TOLERANCE = 1e-5
_MAX_CASES = 50


def main(
    model: Annotated[Path, typer.Argument(help="Output folder of `tfmtl export`.")],
    clients: Annotated[int, typer.Option(help="Connections at once.")] = 200,
    seconds: Annotated[float, typer.Option(help="How long they ask.")] = 60.0,
) -> None:
    """Print requests, errors by status, wrong answers, and what the server holds before and after."""
    cases = _golden_cases(model)
    with tempfile.TemporaryDirectory() as folder, server_process(model, "soak", Path(folder) / "log") as server:
        crowd = Crowd(server.grpc_address, server.rest_address, "soak", cases, _TOLERANCE)
        crowd.ask_for(_WARM_UP_SECONDS, clients)
        crowd.statuses.clear()
        before = server.resources()
        started = time.perf_counter()
        crowd.ask_for(seconds, clients)
        took = time.perf_counter() - started
        time.sleep(1.0)  # until the closed connections are gone
        after = server.resources()
        _, _, log = (Path(folder) / "log").read_text().partition("Serving model")
    requests = sum(crowd.statuses.values())
    print(f"{requests} requests of {clients} clients in {took:.1f} s: {requests / took:.0f} a second")
    print("statuses:", ", ".join(f"{status} {count}" for status, count in sorted(crowd.statuses.items())))
    print(f"wrong answers: {len(crowd.wrong)}", *crowd.wrong[:3], sep="\n  ")
    print("lines in the log while it served:", len(log.splitlines()[1:]), *log.splitlines()[1:4], sep="\n  ")
    print(f"{'':12}{'before':>10}{'after':>10}")
    for name in ("megabytes", "descriptors", "threads"):
        print(f"{name:12}{_value(before, name):>10}{_value(after, name):>10}")


def _value(resources: Resources, name: str) -> str:
    return f"{getattr(resources, name):.0f}"


def _golden_cases(model: Path) -> list[Case]:
    versions = sorted((int(path.name), path) for path in model.iterdir() if path.name.isdigit())
    _, version = versions[-1]
    signature = tf.saved_model.load(str(version)).signatures["serving_default"].structured_input_signature[1]
    lines = ExportedVersion(version).golden.read_text(encoding="utf-8").split("\n")[:-1]
    return [_case(json.loads(line), signature) for line in lines[:_MAX_CASES]]


def _case(golden: dict[str, Any], signature: Any) -> Case:
    features = {name: tensor.numpy() for name, tensor in to_tensors([golden["features"]], signature).items()}
    answer = {name: np.array([value], np.float32) for name, value in golden["response"].items()}
    return Case(features, answer)


if __name__ == "__main__":
    typer.run(main)
