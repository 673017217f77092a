"""The commands that serve a model here, and write what TF Serving wants to serve it elsewhere."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from pipelines.data_commands import console
from serving.server.limits import Limits
from serving.server.server_options import (
    BatchingParametersFile,
    EnableBatching,
    IdleSeconds,
    MaxConnections,
    MaxMessageBytes,
    MaxRequests,
    MaxRows,
    ReadSeconds,
    TlsCertificate,
    TlsClientCa,
    TlsKey,
    TokenFile,
    choose_batching,
)


def serve(
    model: Annotated[Path, typer.Argument(help="Output folder of `tfmtl export` (it holds one folder a version).")],
    name: Annotated[str | None, typer.Option(help="Model name; default: the problem's name.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; others than 127.0.0.1 are open to the net.")] = (
        "127.0.0.1"
    ),
    grpc_port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8500,
    rest_port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8501,
    enable_batching: EnableBatching = False,
    batching_parameters_file: BatchingParametersFile = None,
    max_message_bytes: MaxMessageBytes = Limits.max_message_bytes,
    max_rows: MaxRows = Limits.max_rows,
    max_requests: MaxRequests = Limits.max_requests,
    max_connections: MaxConnections = Limits.max_connections,
    read_seconds: ReadSeconds = Limits.read_seconds,
    idle_seconds: IdleSeconds = Limits.idle_seconds,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
    tls_client_ca: TlsClientCa = None,
    token_file: TokenFile = None,
    log_requests: Annotated[
        Path | None, typer.Option(help="Folder for a sample of the requests and answers; default: none is kept.")
    ] = None,
    log_rate: Annotated[float, typer.Option(help="Share of the requests in that sample.")] = 0.01,
    log_seed: Annotated[int | None, typer.Option(help="Seed of the sample; default: another one each time.")] = None,
) -> None:
    """Serve an exported model over TF Serving's gRPC and REST APIs until Ctrl-C."""
    from serving.local_server import LocalServer
    from serving.server.request_log import RequestLog
    from serving.server.security import Security

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    server = LocalServer(
        model,
        name or _served_name(model),
        host,
        grpc_port,
        rest_port,
        batching=choose_batching(enable_batching, batching_parameters_file),
        limits=Limits(max_message_bytes, max_rows, max_requests, max_connections, read_seconds, idle_seconds),
        security=Security(tls_certificate, tls_key, tls_client_ca, token_file),
        request_log=None if log_requests is None else RequestLog(log_requests, log_rate, log_seed),
    )
    server.serve_forever()


def deploy_files(
    models: Annotated[list[Path], typer.Argument(help="Output folders of `tfmtl export`, one a model.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the files go.")],
    canary: Annotated[
        bool, typer.Option("--canary", help="Label the newest version canary, the one before it stable.")
    ] = False,
    budget: Annotated[float, typer.Option(help="Milliseconds to an answer, from which batching follows.")] = 50.0,
    cpus: Annotated[int, typer.Option(help="Cores of a server.")] = 2,
    image: Annotated[str, typer.Option(help="Container image.")] = "tensorflow/serving:2.21.0",
) -> None:
    """Write TF Serving's configuration, container and Kubernetes files and a runbook; measures batches on the way."""
    from pipelines.tables import print_batches
    from serving.deployment.deploy_files import DeployOptions, write_deploy_files

    names = [_served_name(model) for model in models]
    if len(set(names)) < len(names):
        raise ValueError(f"deploy-files: `models` must have names of their own. Received: {names}.")
    with console.status("Measuring how long batches take ..."):
        times = write_deploy_files(
            dict(zip(names, models, strict=True)), output, DeployOptions(canary, budget, cpus, image)
        )
    print_batches(console, times)
    console.print(f"Wrote {output}. Next: read {output}/RUNBOOK.md")


def _served_name(model: Path) -> str:
    """The problem's name, as the newest version's problem file says."""
    from tfmtl.schema import Problem

    files = sorted(model.glob("[0-9]*/assets.extra/problem.yaml"), key=lambda path: int(path.parts[-3]))
    return Problem.load(files[-1]).name if files else model.resolve().name
