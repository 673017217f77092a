"""The address of a model server, with TLS and token."""

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Connection:
    """An address with the certificates and the token for it.

    Args:
        owner: str. The client's class, for messages.
        address: str. As the user gave it.
        tls: bool. Whether to encrypt; `root_certificates` and `client_certificate` imply it.
        root_certificates: path of a PEM file or None. Authorities of the server's certificate; None: the machine's own.
        client_certificate: path of a PEM file or None. Sent to a server that asks for one.
        client_key: path of a PEM file or None. The private key of `client_certificate`, without a password.
        token: str or None. Sent as `Authorization: Bearer <token>`.

    Raises:
        ValueError: if a file holds no certificate or key, certificate and key are not of each other, or the token is
            no header's value.
        OSError: if a file cannot be read.
    """

    owner: str
    address: str
    tls: bool = False
    root_certificates: str | os.PathLike[str] | None = None
    client_certificate: str | os.PathLike[str] | None = None
    client_key: str | os.PathLike[str] | None = None
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.client_certificate is None) != (self.client_key is None):
            given, missing = ("client_certificate", "client_key")[:: 1 if self.client_certificate else -1]
            raise ValueError(
                f"{self.owner}: `{missing}` must be given with `{given}`. Received: {missing}=None. "
                "Name both PEM files."
            )
        if self.root_certificates is not None or self.client_certificate is not None:
            self.ssl_context()
        if self.token is not None and not (self.token and self.token.isascii() and self.token.isprintable()):
            raise ValueError(f"{self.owner}: `token` must be printable ASCII text. Strip line breaks from it.")

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.tls or self.root_certificates is not None or self.client_certificate is not None

    @property
    def headers(self) -> dict[str, str]:
        """What is sent along with every request."""
        return {} if self.token is None else {"authorization": f"Bearer {self.token}"}

    def pem_bytes(self) -> tuple[bytes | None, ...]:
        """Returns the content of the root certificates, the client's key and its certificate."""
        files = (self.root_certificates, self.client_key, self.client_certificate)
        return tuple(None if file is None else Path(file).read_bytes() for file in files)

    def ssl_context(self) -> ssl.SSLContext:
        """Returns a context that believes the root certificates and no others, and shows the client's."""
        roots = None if self.root_certificates is None else Path(self.root_certificates)  # "" would be none at all
        try:
            context = ssl.create_default_context(cafile=roots)
        except ssl.SSLError as error:
            raise ValueError(
                f"{self.owner}: `root_certificates` must be a file of PEM certificates. "
                f"Received: root_certificates={str(self.root_certificates)!r}. {error.reason or error}"
            ) from error
        if self.client_certificate is not None and self.client_key is not None:
            try:
                # A key with a password would be asked for on the terminal.
                context.load_cert_chain(self.client_certificate, self.client_key, password=lambda: b"")
            except ssl.SSLError as error:
                raise ValueError(
                    f"{self.owner}: `client_certificate` and `client_key` must be PEM files of a certificate and its "
                    f"key. Received: {str(self.client_certificate)!r} and {str(self.client_key)!r}, refused with: "
                    f"{error}. Take the password off the key, and check that both belong together."
                ) from error
        return context

    def no_server(self, reason: str) -> str:
        """Returns the message for a server that does not answer."""
        return f"{self.owner}: no server answers at {self.address}. {reason}"
