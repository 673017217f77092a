"""Where a model server is and how to speak to it privately."""

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Connection:
    """An address with what proves the server's identity to us, and ours to the server.

    Args:
        owner: str. The client's class, for messages.
        address: str. As the user gave it.
        tls: bool. Whether to encrypt; with `root_certificates` that goes without saying.
        root_certificates: path of a PEM file or None. Who may vouch for the server; None asks the machine's own.
        token: str or None. Sent as `Authorization: Bearer <token>`.

    Raises:
        ValueError: if the file holds no certificate, or the token is no header's value.
        OSError: if the file cannot be read.
    """

    owner: str
    address: str
    tls: bool = False
    root_certificates: str | os.PathLike[str] | None = None
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.root_certificates is not None:
            try:
                self.ssl_context()
            except ssl.SSLError as error:
                raise ValueError(
                    f"{self.owner}: `root_certificates` must be a file of PEM certificates. "
                    f"Received: root_certificates={str(self.root_certificates)!r}. {error.reason or error}"
                ) from error
        if self.token is not None and not (self.token and self.token.isascii() and self.token.isprintable()):
            raise ValueError(f"{self.owner}: `token` must be printable ASCII text. Strip line breaks from it.")

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.tls or self.root_certificates is not None

    @property
    def headers(self) -> dict[str, str]:
        """What is sent along with every request."""
        return {} if self.token is None else {"authorization": f"Bearer {self.token}"}

    def root_certificate_bytes(self) -> bytes | None:
        """Returns the PEM file's content."""
        return None if self.root_certificates is None else Path(self.root_certificates).read_bytes()

    def ssl_context(self) -> ssl.SSLContext:
        """Returns a context that believes the root certificates and no others."""
        roots = self.root_certificate_bytes()
        return ssl.create_default_context(cadata=None if roots is None else roots.decode("ascii", "replace"))

    def no_server(self, reason: str) -> str:
        """Returns the message where nobody answers."""
        return f"{self.owner}: no server answers at {self.address}. {reason}"
