"""The base class of all clients, independent of protocol and event loop."""

import os
from abc import ABC, abstractmethod
from typing import Any

from tfmtl.serving.client.client_steps import ClientSteps
from tfmtl.serving.client.connection import Connection
from tfmtl.serving.client.retries import Retries
from tfmtl.serving.client.wire_format import WireFormat


class BaseClient(ABC):
    """A client of one model on one server.

    PEM files are read when the client is made; renewed ones need a new client.

    Args:
        address: str. `"host:port"`; for REST also a URL.
        model_name: str. The name the model is served under.
        timeout: float. Seconds that a call may take with all its retries, unless the call itself sets it. Defaults to
            `5.0`.
        retries: Retries or None. Retry policy for calls that no server answers. Defaults to None, `Retries()`.
        tls: bool. Whether the server is behind TLS. Defaults to `False`.
        root_certificates: path of a PEM file or None. The authority that signs the server's certificate; implies TLS.
            Defaults to None: with `tls`, the authorities that this machine trusts.
        client_certificate: path of a PEM file or None. The certificate to show to a server that demands one, followed
            by those between it and an authority that the server trusts; it implies TLS. Defaults to None.
        client_key: path of a PEM file or None. The certificate's private key, without a password. Defaults to None.
        token: str or None. Sent as `Authorization: Bearer <token>`; without TLS others on the network can read it.
            Defaults to None.
        ignore_extra: bool. Whether features that the model does not know are left out of a request, such as the label
            and key columns of a log, and not refused: a misspelled name is then told as a missing feature. Defaults to
            `False`.

    Raises:
        ValueError: if an argument is out of range, or PEM files hold something else or do not belong together.
        OSError: if a PEM file cannot be read.
    """

    def __init__(
        self,
        address: str,
        model_name: str,
        *,
        timeout: float = 5.0,
        retries: Retries | None = None,
        tls: bool = False,
        root_certificates: str | os.PathLike[str] | None = None,
        client_certificate: str | os.PathLike[str] | None = None,
        client_key: str | os.PathLike[str] | None = None,
        token: str | None = None,
        ignore_extra: bool = False,
    ) -> None:
        connection = Connection(
            type(self).__name__, address, tls, root_certificates, client_certificate, client_key, token
        )
        wire, self._transport = self._open(connection, model_name)
        self._steps = ClientSteps(wire, connection, retries or Retries(), timeout, ignore_extra=ignore_extra)

    @abstractmethod
    def _open(self, connection: Connection, model_name: str) -> tuple[WireFormat, Any]:
        """Returns the protocol and what sends its requests."""
