"""Options of the commands that start a server."""

from pathlib import Path
from typing import Annotated

import typer

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
