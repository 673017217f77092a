"""The command that serves exported models: `tfmtl serve`, or `python -m tfmtl.serving.serve`.

python -m tfmtl.serving.serve exports/census
"""

import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tfmtl.serving.served_name import served_name
from tfmtl.serving.server.limits import Limits
from tfmtl.serving.server.server_options import (
    AllowAnyOrigin,
    AllowReload,
    BatchingParametersFile,
    EnableBatching,
    IdleSeconds,
    MaxConnections,
    MaxMessageBytes,
    MaxRequests,
    MaxRows,
    ReadSeconds,
    RefuseOddTimes,
    ReloadBase,
    ReloadTokenFile,
    TlsCertificate,
    TlsClientCa,
    TlsKey,
    TokenFile,
    choose_batching,
)
from tfmtl.serving.serving_error import ServingError


def serve(
    base_dir: Annotated[
        Path | None,
        typer.Argument(help="Output folder of `tfmtl export` (it has one folder per version).", show_default=False),
    ] = None,
    model_name: Annotated[
        str | None, typer.Option("--model-name", "--name", help="Model name in requests. Default: the problem's name.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any other than 127.0.0.1 is open to the network.")
    ] = ("127.0.0.1"),
    grpc_port: Annotated[int, typer.Option(help="gRPC port; 0 uses a free one.")] = 8500,
    rest_port: Annotated[int, typer.Option(help="REST port; 0 uses a free one.")] = 8501,
    poll_seconds: Annotated[float, typer.Option(help="Seconds between two checks for new versions.")] = 1.0,
    num_versions: Annotated[int, typer.Option(help="Number of newest versions to serve.")] = 1,
    model_config_file: Annotated[
        Path | None, typer.Option(help="TF Serving's file of several models, instead of a folder.")
    ] = None,
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
    allow_reload: AllowReload = False,
    reload_token_file: ReloadTokenFile = None,
    reload_base: ReloadBase = None,
    allow_any_origin: AllowAnyOrigin = False,
    refuse_odd_times: RefuseOddTimes = False,
    log_requests: Annotated[
        Path | None, typer.Option(help="Folder for a sample of requests and answers. Default: nothing is logged.")
    ] = None,
    log_rate: Annotated[float, typer.Option(help="Share of requests that are logged.")] = 0.01,
    log_folder_bytes: Annotated[
        int, typer.Option(help="Largest size of that folder in bytes; when it is reached, nothing is added.")
    ] = (10 * 2**30),
    log_seed: Annotated[
        int | None, typer.Option(help="Seed of the sample. Default: a different sample each time.")
    ] = None,
) -> None:
    """Serve exported models over TF Serving's gRPC and REST APIs until Ctrl-C."""
    from tfmtl.serving.local_server import LocalServer  # loads TensorFlow
    from tfmtl.serving.server.request_log import RequestLog
    from tfmtl.serving.server.security import Security

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    options: dict[str, Any] = {
        "host": host,
        "grpc_port": grpc_port,
        "rest_port": rest_port,
        "poll_seconds": poll_seconds,
        "batching": choose_batching(enable_batching, batching_parameters_file),
        "limits": Limits(max_message_bytes, max_rows, max_requests, max_connections, read_seconds, idle_seconds),
        "security": Security(
            tls_certificate,
            tls_key,
            tls_client_ca,
            token_file,
            allow_reload,
            reload_token_file,
            reload_base,
            allow_any_origin,
        ),
        "request_log": None
        if log_requests is None
        else RequestLog(log_requests, log_rate, log_seed, max_folder_bytes=log_folder_bytes),
    }
    options["refuse_odd_times"] = refuse_odd_times
    if (base_dir is None) == (model_config_file is None):
        raise ValueError("LocalServer: give a directory or a `model_config_file`, one of them.")
    if base_dir is not None:
        server = LocalServer(base_dir, model_name or served_name(base_dir), num_versions=num_versions, **options)
    else:
        server = LocalServer.from_config_file(str(model_config_file), **options)
    server.serve_forever()


def main() -> None:
    """Runs the command; an error is one readable line and exit status 1."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(serve)
    try:
        app()
    except (ValueError, OSError, ServingError) as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
