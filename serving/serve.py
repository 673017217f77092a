"""The local model server as a command.

python -m serving.serve exports/census --model-name census
"""

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from serving.local_server import LocalServer
from serving.server.limits import Limits
from serving.server.security import Security
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
from serving.serving_error import ServingError


def main(
    base_dir: Annotated[
        Path | None, typer.Argument(help="Directory that holds <version>/saved_model.pb.", show_default=False)
    ] = None,
    model_name: Annotated[str, typer.Option(help="Name that clients ask for.")] = "model",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    grpc_port: Annotated[int, typer.Option(help="gRPC port; 0 takes a free one.")] = 8500,
    rest_port: Annotated[int, typer.Option(help="REST port; 0 takes a free one.")] = 8501,
    poll_seconds: Annotated[float, typer.Option(help="Seconds between two looks at the directory.")] = 1.0,
    num_versions: Annotated[int, typer.Option(help="How many of the newest versions to serve.")] = 1,
    model_config_file: Annotated[
        Path | None, typer.Option(help="Several models, as TF Serving reads them; instead of a directory.")
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
) -> None:
    """Serve the newest version of an exported model over TF Serving's gRPC and REST APIs."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        options: dict[str, Any] = {
            "host": host,
            "grpc_port": grpc_port,
            "rest_port": rest_port,
            "poll_seconds": poll_seconds,
            "batching": choose_batching(enable_batching, batching_parameters_file),
            "limits": Limits(max_message_bytes, max_rows, max_requests, max_connections, read_seconds, idle_seconds),
            "security": Security(tls_certificate, tls_key, tls_client_ca, token_file),
        }
        if (base_dir is None) == (model_config_file is None):
            raise ValueError("LocalServer: give a directory or a `model_config_file`, one of them.")
        if model_config_file is not None:
            server = LocalServer.from_config_file(model_config_file, **options)
        else:
            server = LocalServer(str(base_dir), model_name, num_versions=num_versions, **options)
        server.serve_forever()
    except (ValueError, OSError, ServingError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    typer.run(main)
