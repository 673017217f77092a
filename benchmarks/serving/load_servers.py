"""The servers of the load test, each in a process of its own: with a model, and such that send back what comes."""

import asyncio
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

PREDICT = "/tensorflow.serving.PredictionService/Predict"


def _serve(kind: str, base_dir: str, ports: Any) -> None:
    """Runs in a process of its own until it is killed."""
    if kind == "aio":
        asyncio.run(_echo_by_aio(ports))
    if kind == "echo":
        _echo(ports)
    from tfmtl.serving.local_server import LocalServer
    from tfmtl.serving.server.batching_options import BatchingOptions

    if kind.startswith("tensorflow"):
        from benchmarks.serving import tensorflow_batches

        tensorflow_batches.replace_calls(int(kind.removeprefix("tensorflow")))
        batching: BatchingOptions | None = tensorflow_batches.ALONE
    else:
        batching = None if kind == "alone" else BatchingOptions(batch_timeout_micros=int(kind))
    server = LocalServer(base_dir, "model", grpc_port=0, rest_port=0, poll_seconds=60.0, batching=batching)
    server.start()
    ports.put(server.grpc_port)
    time.sleep(86400.0)


def _echo(ports: Any) -> None:
    from tfmtl.serving.server.grpc_server import GrpcServer
    from tfmtl.serving.server.limits import Limits
    from tfmtl.serving.server.security import Security

    server = GrpcServer({PREDICT: lambda call, message: call.answer(message)}, Limits(), Security())
    ports.put(server.open("127.0.0.1:0"))
    asyncio.run(server.start())
    time.sleep(86400.0)


async def _echo_by_aio(ports: Any) -> None:
    async def answer(request: bytes, context: Any) -> bytes:
        return request

    service, method = PREDICT.strip("/").split("/")
    handlers = {method: grpc.unary_unary_rpc_method_handler(answer)}
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    ports.put(server.add_insecure_port("127.0.0.1:0"))
    await server.start()
    await server.wait_for_termination()


@contextmanager
def load_server(kind: str, base_dir: Path) -> Iterator[tuple[int, int]]:
    """A running server as (port, process id).

    Its kind is `alone`, `tensorflow32` (TensorFlow's own scheduler, batches of up to 32), `echo`, `aio`, or the
    microseconds that a batch waits.
    """
    ports = multiprocessing.Queue()
    process = multiprocessing.Process(target=_serve, args=(kind, str(base_dir), ports), daemon=True)
    process.start()
    try:
        yield ports.get(timeout=120), process.pid or 0
    finally:
        process.kill()
        process.join()
