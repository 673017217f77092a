"""Options of the commands that start a server."""

from pathlib import Path
from typing import Annotated

import typer

from serving.server.batching_options import BatchingOptions

EnableBatching = Annotated[bool, typer.Option("--enable-batching", help="Compute requests that wait together.")]
BatchingParametersFile = Annotated[
    Path | None, typer.Option(help="How, as TF Serving reads it, such as batching.config of deploy-files.")
]
MaxMessageBytes = Annotated[int, typer.Option(help="Largest request, in bytes.")]
MaxRows = Annotated[int, typer.Option(help="Most rows of a request.")]
MaxRequests = Annotated[int, typer.Option(help="Most requests under way, on each protocol.")]
MaxConnections = Annotated[int, typer.Option(help="Most open connections, on each protocol.")]
ReadSeconds = Annotated[float, typer.Option(help="How long a request may take to arrive.")]
IdleSeconds = Annotated[float, typer.Option(help="How long a connection may be kept without a request.")]
TlsCertificate = Annotated[Path | None, typer.Option(help="PEM file of the server's certificate.")]
TlsKey = Annotated[Path | None, typer.Option(help="PEM file of the certificate's key.")]
TlsClientCa = Annotated[Path | None, typer.Option(help="PEM file of who must have signed the clients' certificates.")]
TokenFile = Annotated[Path | None, typer.Option(help="File with the token that clients must send.")]

AllowReload = Annotated[bool, typer.Option("--allow-reload", help="Exchange the models on HandleReloadConfigRequest.")]
ReloadTokenFile = Annotated[Path | None, typer.Option(help="File with the token that it needs; allows it too.")]
ReloadBase = Annotated[
    Path | None, typer.Option(help="Where its models must lie; default: the folders of the models at the start.")
]
AllowAnyOrigin = Annotated[
    bool, typer.Option("--allow-any-origin", help="Answer web pages of other sites, and any Host on loopback.")
]

RefuseOddTimes = Annotated[
    bool, typer.Option("--refuse-odd-times", help="Refuse times in another unit than training's, or before an event.")
]


def choose_batching(is_enabled: bool, file: Path | None) -> BatchingOptions | None:
    """The options of the command line: a file enables batching too.

    Raises:
        ValueError: if the file is no batching file.
        OSError: if it cannot be read.
    """
    if file is not None:
        return BatchingOptions.from_file(file)
    return BatchingOptions() if is_enabled else None
