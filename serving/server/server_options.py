"""Options of the commands that start a server."""

from pathlib import Path
from typing import Annotated

import typer

from tfmtl.serving.server.batching_options import BatchingOptions

EnableBatching = Annotated[
    bool, typer.Option("--enable-batching", help="Compute waiting requests together, in one batch.")
]
BatchingParametersFile = Annotated[
    Path | None, typer.Option(help="TF Serving's batching parameters, such as batching.config of deploy-files.")
]
MaxMessageBytes = Annotated[int, typer.Option(help="Largest size of a request, in bytes.")]
MaxRows = Annotated[int, typer.Option(help="Largest number of rows of a request.")]
MaxRequests = Annotated[int, typer.Option(help="Largest number of requests in progress, per protocol.")]
MaxConnections = Annotated[int, typer.Option(help="Largest number of open connections, per protocol.")]
ReadSeconds = Annotated[float, typer.Option(help="Seconds in which a request must arrive.")]
IdleSeconds = Annotated[float, typer.Option(help="Seconds after which an idle connection is closed.")]
TlsCertificate = Annotated[Path | None, typer.Option(help="PEM file of the server's certificate.")]
TlsKey = Annotated[Path | None, typer.Option(help="PEM file of the certificate's key.")]
TlsClientCa = Annotated[
    Path | None, typer.Option(help="PEM file of the authority that must have signed the clients' certificates.")
]
TokenFile = Annotated[Path | None, typer.Option(help="File with the token that clients must send.")]

AllowReload = Annotated[
    bool, typer.Option("--allow-reload", help="Allow HandleReloadConfigRequest, which changes the served models.")
]
ReloadTokenFile = Annotated[
    Path | None, typer.Option(help="File with a separate token for HandleReloadConfigRequest; allows it, too.")
]
ReloadBase = Annotated[
    Path | None,
    typer.Option(help="Folder that reloaded models must be in. Default: the folders of the models at the start."),
]
AllowAnyOrigin = Annotated[
    bool,
    typer.Option(
        "--allow-any-origin", help="Answer requests from web pages of other sites, and any Host header on loopback."
    ),
]

RefuseOddTimes = Annotated[
    bool,
    typer.Option(
        "--refuse-odd-times",
        help="Refuse requests whose time has another unit than in training, or is before an event.",
    ),
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
