"""What the local server adds to a model's own time, and what batching gains under concurrent clients.

    python -m benchmarks.serving.load <output folder of tfmtl export> [--seconds 3] [--rounds 3] [--output FILE.md]

Two models: a small one (two tables, two dense layers), and the export. Each in three parts:

- one client, requests of 1, 64 and 500 rows, against the bare call of `tf.saved_model.load(...).signatures[...]` on
  ready tensors in this process: what is more is the server's and gRPC's;
- 32 concurrent clients, one row per request, without batching, with, and with TensorFlow's own batch scheduler
  (`tf.nondifferentiable_batch_function`) in its place, and servers that send every request back as it came: one of the
  same gRPC, which is as fast as any of its kind gets on this machine, and one of `grpc.aio`;
- where a request's time goes on the way to the model, measured piece by piece in this process.

A lone client is gRPC's own, in a process that sends ready bytes. The 32 are `LightClients` on two connections, which
take a tenth of the processor time, so that the server is what is measured; every answer must be OK, and one in fifty is
compared with what the model says in this process. All servers run from the start to the end and are asked in turn;
numbers are medians over the rounds.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from benchmarks.serving.light_clients import LightClients
from benchmarks.serving.load_servers import PREDICT, load_server
from tfmtl.folders import ExportedVersion

_ROWS = (1, 64, 500)
_CLIENTS = 32
_CONNECTIONS = 2
_BODIES = 64  # different requests that are sent in turn
_WARM_UP_SECONDS = 1.0
_BARE_CALLS = 200

Inputs = dict[str, Any]


@dataclass(frozen=True)
class Load:
    """What one round of load gave: requests a second, milliseconds at two quantiles, the server's CPU time."""

    rate: float
    p50: float
    p99: float
    cpu: float


# === Clients ===


def _ask(port: int, bodies: Sequence[bytes], seconds: float, found: Any) -> None:
    """Runs in a process of its own: one client that sends the next request when the last is answered."""
    options = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
    with grpc.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        call = channel.unary_unary(PREDICT)
        milliseconds: list[float] = []
        for length in (_WARM_UP_SECONDS, seconds):
            milliseconds.clear()
            until = time.perf_counter() + length
            while (started := time.perf_counter()) < until:
                call(bodies[len(milliseconds) % len(bodies)], timeout=60.0)
                milliseconds.append(1e3 * (time.perf_counter() - started))
    found.put((milliseconds, []))


def _ask_as_crowd(port: int, bodies: Sequence[bytes], seconds: float, found: Any) -> None:
    """Likewise: many clients at once."""
    clients = LightClients(port, PREDICT, bodies, _CLIENTS, _CONNECTIONS)
    clients.ask_for(_WARM_UP_SECONDS)
    clients.milliseconds.clear()
    clients.ask_for(seconds)
    found.put((clients.milliseconds, clients.kept))


def _load(
    ask: Callable[[int, Sequence[bytes], float, Any], None],
    server: tuple[int, int],
    bodies: Sequence[bytes],
    seconds: float,
    check: Callable[[int, bytes], None] = lambda number, answer: None,
) -> Load:
    """Has clients ask a server, and `check` look at some of the answers."""
    port, process_id = server
    found = multiprocessing.Queue()
    process = multiprocessing.Process(target=ask, args=(port, bodies, seconds, found))
    before = _cpu_seconds(process_id)
    process.start()
    milliseconds, kept = found.get(timeout=120 + seconds)
    process.join()
    cpu = _cpu_seconds(process_id) - before
    for number, answer in kept:
        check(number, answer)
    milliseconds.sort()
    count = len(milliseconds)
    return Load(
        rate=count / seconds,
        p50=milliseconds[count // 2],
        p99=milliseconds[int(0.99 * count)],
        cpu=1e6 * cpu / (count * (1.0 + _WARM_UP_SECONDS / seconds)),
    )


def _cpu_seconds(process_id: int) -> float:
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _median(loads: Sequence[Load]) -> Load:
    return Load(*[statistics.median(getattr(load, name) for load in loads) for name in ("rate", "p50", "p99", "cpu")])


# === Models and requests ===


def _export_small(base_dir: Path) -> None:
    """A small ranking model with the inputs of a hand-written one."""
    import tensorflow as tf

    class Small(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.users, self.items = (tf.Variable(tf.random.normal((1000, 16))) for _ in range(2))
            self.hidden, self.out = tf.Variable(tf.random.normal((34, 32))), tf.Variable(tf.random.normal((32, 2)))

        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.int64, "user"),
                tf.TensorSpec([None], tf.int64, "item"),
                tf.TensorSpec([None], tf.float32, "price"),
                tf.TensorSpec([None], tf.float32, "age"),
            ]
        )
        def serve(self, user: Any, item: Any, price: Any, age: Any) -> Any:
            columns = [tf.gather(self.users, user), tf.gather(self.items, item), price[:, None], age[:, None]]
            return {"scores": tf.sigmoid(tf.nn.relu(tf.concat(columns, 1) @ self.hidden) @ self.out)}

    small = Small()
    tf.saved_model.save(small, str(base_dir / "1"), signatures={"serving_default": small.serve})


def _small_inputs(rows: int, number: int) -> Inputs:
    import numpy as np

    generator = np.random.default_rng(number)
    ids = {name: generator.integers(0, 1000, rows) for name in ("user", "item")}
    return ids | {name: generator.normal(size=rows).astype(np.float32) for name in ("price", "age")}


def _export_inputs(version: Path, specs: Any) -> Callable[[int, int], Inputs]:
    from tfmtl.export.raw_batch import to_tensors

    lines = ExportedVersion(version).golden.read_text(encoding="utf-8").split("\n")[:-1]
    features = [json.loads(line)["features"] for line in lines]

    # Lists as long as the longest of all: TensorFlow's scheduler puts requests of unequal lengths not together.
    whole = {name: tensor.numpy() for name, tensor in to_tensors(features, specs).items()}

    def inputs(rows: int, number: int) -> Inputs:
        chosen = [(number + row) % len(features) for row in range(rows)]
        return {name: array[chosen] for name, array in whole.items()}

    return inputs


def _request(inputs: Inputs) -> Any:
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "model"
    for name, array in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
    return request


# === The three parts ===


def _measure(title: str, base_dir: Path, inputs: Callable[[int, int], Inputs] | None, options: Any) -> list[str]:
    """The tables of one model, as lines of Markdown."""
    import tensorflow as tf

    version = max((path for path in base_dir.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
    saved_model = tf.saved_model.load(str(version))
    function = saved_model.signatures["serving_default"]
    inputs = inputs or _export_inputs(version, function.structured_input_signature[1])
    lines = [f"## {title}", ""]
    with (
        load_server("alone", base_dir) as alone,
        load_server("5000", base_dir) as batched,
        load_server("tensorflow64", base_dir) as by_tensorflow,
        load_server(f"tensorflow{_CLIENTS}", base_dir) as by_tensorflow_tuned,
        load_server("echo", base_dir) as echo,
        load_server("aio", base_dir) as echo_by_aio,
    ):
        table = []
        for rows in _ROWS:
            tensors = {name: tf.constant(array) for name, array in inputs(rows, 0).items()}
            bodies = [_request(inputs(rows, number)).SerializeToString() for number in range(8)]
            bare, served = [], []
            for _ in range(options.rounds):
                bare.append(_bare(lambda: function(**tensors)))  # noqa: B023 - called in this round
                served.append(_load(_ask, alone, bodies, options.seconds))
            for side, loads in (("bare call", bare), ("over gRPC", served)):
                load = _median(loads)
                table.append([str(rows), side, f"{load.rate:,.0f}", f"{load.p50:.2f}", f"{load.p99:.2f}"])
        lines += _table(["rows", "one client", "requests/s", "p50 ms", "p99 ms"], table)
        bodies = [_request(inputs(1, number)).SerializeToString() for number in range(_BODIES)]
        rows = [{name: tf.constant(array) for name, array in inputs(1, number).items()} for number in range(_BODIES)]
        answers = [{name: tensor.numpy() for name, tensor in function(**row).items()} for row in rows]

        def check(number: int, message: bytes) -> None:
            _compare(answers[number], message)

        def check_echo(number: int, message: bytes) -> None:
            assert message == bodies[number], "what came back is not what was sent"

        sides = {
            "each alone": (alone, check),
            "batched": (batched, check),
            "batched by TensorFlow": (by_tensorflow, check),
            "batched by TensorFlow, a batch is full with all clients": (by_tensorflow_tuned, check),
            "sent back unread": (echo, check_echo),
            "sent back unread by `grpc.aio`": (echo_by_aio, check_echo),
        }
        loads: dict[str, list[Load]] = {side: [] for side in sides}
        for _ in range(options.rounds):
            for side, (server, look) in sides.items():
                loads[side].append(_load(_ask_as_crowd, server, bodies, options.seconds, look))
    found = {side: _median(each) for side, each in loads.items()}
    table = [
        [
            side,
            f"{load.rate:,.0f}",
            f"{load.rate / found['each alone'].rate:.2f}",
            f"{load.p50:.1f}",
            f"{load.p99:.1f}",
            f"{load.cpu:.0f}",
        ]
        for side, load in found.items()
    ]
    heads = ["32 clients, one row", "requests/s", "ratio", "p50 ms", "p99 ms", "server's CPU µs a request"]
    lines += [
        "",
        *_table(heads, table),
        "",
        *_table(["step of one row", "µs"], _steps(version, inputs(1, 0), function)),
    ]
    return [*lines, ""]


def _compare(expected: Inputs, message: bytes) -> None:
    """Raises AssertionError unless a response holds these outputs; a batch may add in another order."""
    import numpy as np
    from tensorflow_serving.apis import predict_pb2

    from tfmtl.serving.protocol.tensor_proto import tensor_to_array

    outputs = predict_pb2.PredictResponse.FromString(message).outputs
    assert set(outputs) == set(expected), f"the answer has the outputs {sorted(outputs)}"
    for name, array in expected.items():
        np.testing.assert_allclose(tensor_to_array(outputs[name]), array, rtol=1e-4, atol=1e-6)


def _bare(call: Callable[[], Any]) -> Load:
    milliseconds = []
    for number in range(_BARE_CALLS + 20):
        started = time.perf_counter()
        call()
        if number >= 20:
            milliseconds.append(1e3 * (time.perf_counter() - started))
    milliseconds.sort()
    total = sum(milliseconds)
    return Load(1e3 * len(milliseconds) / total, milliseconds[len(milliseconds) // 2], milliseconds[-2], 0.0)


def _steps(version: Path, inputs: Inputs, function: Any) -> list[list[str]]:
    """Median microseconds of what a server does for one row, in this process."""
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    from tfmtl.serving.protocol.tensor_proto import array_to_tensor, tensor_to_array
    from tfmtl.serving.server.batch_rows import merge_rows
    from tfmtl.serving.server.served_model import ServedModel
    from tfmtl.serving.server.signature_call import SignatureCall

    model = ServedModel(version, 1)
    call = SignatureCall(function)
    request = _request(inputs)
    body = request.SerializeToString()
    tensors = {name: tf.constant(array) for name, array in inputs.items()}
    batch = merge_rows([inputs] * _CLIENTS)
    outputs = model.predict("", inputs)

    def write() -> bytes:
        response = predict_pb2.PredictResponse()
        for name, array in outputs.items():
            array_to_tensor(array, response.outputs[name])
        return bytes(response.SerializeToString())

    steps: dict[str, Callable[[], Any]] = {
        "read the request's bytes": lambda: predict_pb2.PredictRequest.FromString(body),
        "tensors to arrays": lambda: {name: tensor_to_array(tensor) for name, tensor in request.inputs.items()},
        "check them": lambda: model.signature("").check_inputs(inputs),
        "call the signature, as TensorFlow offers it": lambda: function(**tensors),
        "call the signature, as the server does (arrays to tensors included)": lambda: call(inputs),
        f"the same for {_CLIENTS} rows, a row": lambda: call(batch),
        f"put {_CLIENTS} requests together, a request": lambda: merge_rows([inputs] * _CLIENTS),
        "write the answer": write,
    }
    found = []
    for name, step in steps.items():
        times = []
        for number in range(320):
            started = time.perf_counter()
            step()
            if number >= 20:
                times.append(1e6 * (time.perf_counter() - started))
        share = _CLIENTS if str(_CLIENTS) in name else 1
        found.append([name, f"{statistics.median(times) / share:.0f}"])
    return found


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows)]


def main(arguments: Sequence[str]) -> None:
    """Prints the tables, and writes them if asked."""
    parser = argparse.ArgumentParser()
    parser.add_argument("export", type=Path, help="output folder of `tfmtl export`")
    parser.add_argument("--seconds", type=float, default=3.0, help="of load, each time")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, help="Markdown file to write")
    options = parser.parse_args(arguments)
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout
    cpu = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    lines = [
        "# The local server under load",
        "",
        f"`python -m benchmarks.serving.load <export> --seconds {options.seconds:g} --rounds {options.rounds}`, commit "
        f"{commit.strip()}, {os.cpu_count()} cores ({cpu.partition(':')[2].strip()}) for server and clients together, "
        "no GPU.",
        "",
    ]
    with tempfile.TemporaryDirectory() as folder:
        _export_small(Path(folder))
        lines += _measure("A small model: two tables, two dense layers", Path(folder), _small_inputs, options)
    lines += _measure(f"An export: `{options.export.resolve().parent.name}`", options.export, None, options)
    text = "\n".join(lines)
    print(text)
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")  # a server must not inherit a loaded TensorFlow
    main(sys.argv[1:])
