"""Access control: TLS, tokens, and requests from browsers."""

import hmac
import ipaddress
import logging
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import grpc

from tfmtl.serving.serving_error import ServingError, quote

logger = logging.getLogger(__name__)

# Health probes have no token, so neither the health service nor the probed paths need one.
_OPEN_METHODS = "/grpc.health.v1.Health/"
_OPEN_PATHS = frozenset({"/health", "/healthz", "/livez", "/readyz", "/v1/health"})
RELOAD_METHOD = "/tensorflow.serving.ModelService/HandleReloadConfigRequest"
_SCHEME = "bearer"
_SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class Security:
    """TLS, tokens and rules for browsers, for gRPC and REST. All parts are optional.

    Files are read when the server starts; a renewed certificate or token needs a restart.

    Args:
        tls_certificate: Path or None. PEM file of the server's certificate, followed by those between it and a root
            its clients trust. Defaults to None, no TLS.
        tls_key: Path or None. PEM file of the certificate's private key, without a password. Defaults to None.
        tls_client_ca: Path or None. PEM file of the authorities one of which must have signed a client's
            certificate (mutual TLS). Defaults to None, which asks clients for no certificate.
        token_file: Path or None. Its text is what clients have to send, as `authorization: Bearer <token>`, in
            everything but health checks. Defaults to None, no token.
        allow_reload: bool. Whether HandleReloadConfigRequest changes the models, for every client that may ask for
            predictions. A SavedModel can read and write files when it runs. Defaults to `False`.
        reload_token_file: Path or None. The token that HandleReloadConfigRequest needs in place of the other, which
            allows it. Defaults to None.
        reload_base: Path or None. The folder below which the models of such a request must lie. Defaults to None, the
            folders of the models that the server was started with.
        allow_any_origin: bool. Whether REST answers pages of other sites in a browser, and on loopback to any name
            for this machine. Defaults to `False`: a page that its user only looks at could ask otherwise.

    Raises:
        ValueError: if options do not go together, a file holds no certificate or key or they do not match, or the
            token is shorter than 16 characters or not one word of ASCII.
        OSError: if a file cannot be read.
    """

    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    token_file: Path | None = None
    allow_reload: bool = False
    reload_token_file: Path | None = None
    reload_base: Path | None = None
    allow_any_origin: bool = False
    _reload_token: bytes | None = field(default=None, init=False, repr=False, compare=False)
    _token: bytes | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if (self.tls_certificate is None) != (self.tls_key is None):
            given, missing = ("tls_certificate", "tls_key")[:: 1 if self.tls_certificate else -1]
            raise ValueError(
                f"Security: `{missing}` must be given with `{given}`. Received: {missing}=None. Name both PEM files."
            )
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError(
                "Security: `tls_client_ca` must be given with `tls_certificate` and `tls_key`. "
                "Received: tls_certificate=None. Clients show certificates to a server that has one."
            )
        self.ssl_context()
        object.__setattr__(self, "_token", _read_token("token_file", self.token_file))
        object.__setattr__(self, "_reload_token", _read_token("reload_token_file", self.reload_token_file))

    @property
    def can_reload(self) -> bool:
        """Whether HandleReloadConfigRequest does anything."""
        return self.allow_reload or self._reload_token is not None

    @property
    def has_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.tls_certificate is not None

    def ssl_context(self) -> ssl.SSLContext | None:
        """Returns what an HTTPS server needs, None without TLS."""
        if self.tls_certificate is None or self.tls_key is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # A key with a password would be asked for on the terminal.
            context.load_cert_chain(self.tls_certificate, self.tls_key, password=lambda: b"")
        except ssl.SSLError as error:
            raise ValueError(
                "Security: `tls_certificate` and `tls_key` must be PEM files of a certificate and its key. "
                f"Received: {str(self.tls_certificate)!r} and {str(self.tls_key)!r}, refused with: {error}. "
                "Take the password off the key, and check that both belong together."
            ) from error
        if self.tls_client_ca is not None:
            try:
                context.load_verify_locations(self.tls_client_ca)
            except ssl.SSLError as error:
                raise ValueError(
                    "Security: `tls_client_ca` must be a PEM file of certificates. "
                    f"Received: {str(self.tls_client_ca)!r}, refused with: {error}. Give the authority's certificate."
                ) from error
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def grpc_credentials(self) -> grpc.ServerCredentials | None:
        """Returns what a gRPC server needs, None without TLS."""
        if self.tls_certificate is None or self.tls_key is None:
            return None
        pair = (self.tls_key.read_bytes(), self.tls_certificate.read_bytes())
        roots = None if self.tls_client_ca is None else self.tls_client_ca.read_bytes()
        return grpc.ssl_server_credentials([pair], roots, require_client_auth=roots is not None)

    def is_allowed(self, path: str, authorization: str | bytes | None) -> bool:
        """Returns whether a request may be answered.

        Args:
            path: str. The gRPC method or the URL's path.
            authorization: the header of this name. The time to look at it tells nothing about the token.
        """
        wanted = self._token
        if path == RELOAD_METHOD and self._reload_token is not None:
            wanted = self._reload_token
        if wanted is None or path in _OPEN_PATHS or path.startswith(_OPEN_METHODS):
            return True
        header = authorization if isinstance(authorization, bytes) else (authorization or "").encode("utf-8", "replace")
        scheme, _, received = header.partition(b" ")
        return hmac.compare_digest(received.strip(), wanted) and scheme.lower() == _SCHEME.encode()

    def grpc_refusal(self, method: str, authorization: str | bytes | None) -> str | None:
        """What a gRPC call is told that may not be answered; None for one that may."""
        if self.is_allowed(method, authorization):
            return None
        return (
            "The server's token must come as metadata 'authorization: Bearer <token>'. "
            f"Received: {'none' if authorization is None else 'another'}."
        )

    def warn_about(self, host: str) -> None:
        """Logs what others on the network can do if `host` is not only this machine."""
        if _is_this_machine(host):
            return
        missing = [
            text
            for text, is_there in (
                ("anybody who reaches it can query the model (--token-file)", self.token_file is not None),
                ("others on the network can read requests and answers (--tls-certificate, --tls-key)", self.has_tls),
            )
            if not is_there
        ]
        if missing:
            logger.warning("Listening on %s, which is not this machine alone: %s.", host, "; ".join(missing))

    def check_origin(self, host: str | None, origin: str | None, listens_on: str) -> None:
        """Refuses what a page of another site has a browser send, see `allow_any_origin`.

        A browser sends such a request along with the page's `Origin`. A site whose name stands for this machine would
        be its own origin, but then `Host` has its name.

        Args:
            host: the header of this name, None where there is none.
            origin: likewise.
            listens_on: the address that the server listens on.

        Raises:
            ServingError: `PERMISSION_DENIED`, HTTP 403.
        """
        if self.allow_any_origin:
            return
        if origin is not None and urlsplit(origin).netloc.lower() != (host or "").lower():
            raise ServingError(
                "PERMISSION_DENIED",
                f"A page of another site must not send requests to this server. Received: Origin {quote(origin)}. "
                "It is answered with the server's --allow-any-origin.",
            )
        if host is not None and _is_this_machine(listens_on) and not _is_this_machine(_without_port(host)):
            raise ServingError(
                "PERMISSION_DENIED",
                f"The header Host must be localhost or a loopback address. Received: {quote(host)}. "
                "Others are answered with the server's --allow-any-origin.",
            )


def _read_token(name: str, file: Path | None) -> bytes | None:
    if file is None:
        return None
    token = file.read_bytes().strip()
    if len(token) < _SHORTEST_TOKEN or not all(33 <= byte < 127 for byte in token):
        raise ValueError(
            f"Security: `{name}` must hold one word of at least {_SHORTEST_TOKEN} ASCII characters. "
            f"Received: {str(file)!r} with {len(token)} bytes. Make one with: openssl rand -hex 32"
        )
    return token


def _without_port(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:  # half an IPv6 address
        return ""


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
