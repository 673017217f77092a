"""TLS and tokens of all clients, against servers that ask for them."""

import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from serving.async_grpc_client import AsyncGrpcClient
from serving.async_rest_client import AsyncRestClient
from serving.client.async_client import AsyncClient
from serving.client.retries import Retries
from serving.grpc_client import GrpcClient
from serving.protocol.messages import MESSAGES
from serving.rest_client import RestClient
from serving.serving_error import ServingError
from tests.serving.blocking_client import BlockingClient

CLIENTS = [GrpcClient, RestClient, AsyncGrpcClient, AsyncRestClient]
TOKEN = "s3cret"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir()
    (folder / "certificate.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    kind = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()))
    return folder / "certificate.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("tls") / "server")


class Status(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers GetModelStatus, if the token is right."""

    def service(self, details: Any) -> Any:
        def answer(request: Any, context: Any) -> Any:
            if ("authorization", f"Bearer {TOKEN}") not in details.invocation_metadata:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you")
            status = {"version": 3, "state": 30, "status": {}}
            return MESSAGES["GetModelStatusResponse"](model_version_status=[status])

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=MESSAGES["GetModelStatusRequest"].FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )


class Handler(BaseHTTPRequestHandler):
    """The same over REST."""

    def do_GET(self) -> None:
        is_right = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        status = {"version": "3", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        body = json.dumps({"model_version_status": [status]} if is_right else {"error": "who are you"}).encode()
        self.send_response(200 if is_right else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def ports(authority: tuple[Path, Path]) -> Iterator[dict[type, int]]:
    """Port of the gRPC server and of the REST server, by client class."""
    chain, key = authority
    over_grpc = grpc.server(ThreadPoolExecutor(2), handlers=[Status()])
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), chain.read_bytes())])
    grpc_port = over_grpc.add_secure_port("127.0.0.1:0", credentials)
    over_grpc.start()
    over_rest = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    over_rest.socket = context.wrap_socket(over_rest.socket, server_side=True)
    threading.Thread(target=over_rest.serve_forever, daemon=True).start()
    yield {each: over_rest.server_port if "Rest" in each.__name__ else grpc_port for each in CLIENTS}
    over_rest.shutdown()
    over_rest.server_close()
    over_grpc.stop(None)


def ask(client_class: type, address: str, **options: Any) -> int:
    """The version that a client hears of."""
    options = {"retries": Retries(attempts=1), "timeout": 10.0, **options}
    client = BlockingClient if issubclass(client_class, AsyncClient) else None
    with client(client_class, address, "m", **options) if client else client_class(address, "m", **options) as opened:
        return int(opened.status()[0].version)


@pytest.mark.parametrize("client_class", CLIENTS)
def test_certificate_and_token_open_the_door(
    client_class: type, ports: dict[type, int], authority: tuple[Path, Path], tmp_path: Path
) -> None:
    address = f"127.0.0.1:{ports[client_class]}"
    roots = authority[0]
    assert ask(client_class, address, root_certificates=roots, token=TOKEN) == 3
    for token in (None, "wrong"):
        with pytest.raises(ServingError, match="UNAUTHENTICATED: who are you"):
            ask(client_class, address, root_certificates=str(roots), token=token)
    stranger, _ = certificate(tmp_path / "stranger")
    for wrong in ({"root_certificates": stranger}, {"tls": True}, {}):
        with pytest.raises(ServingError, match=r"UNAVAILABLE: .*no server answers at"):
            ask(client_class, address, token=TOKEN, **wrong)


def test_rest_urls_and_tls(ports: dict[type, int], authority: tuple[Path, Path]) -> None:
    url = f"https://127.0.0.1:{ports[RestClient]}"
    assert ask(RestClient, url, root_certificates=authority[0], token=TOKEN) == 3
    with pytest.raises(
        ValueError, match=r"RestClient: `address` must be an https URL for TLS\. Received: address='http:"
    ):
        RestClient("http://here:1", "m", tls=True)


@pytest.mark.parametrize("client_class", CLIENTS)
def test_arguments_are_checked_at_once(client_class: type, tmp_path: Path) -> None:
    name = client_class.__name__
    (tmp_path / "no.pem").write_text("nothing")
    with pytest.raises(ValueError, match=f"{name}: `root_certificates` must be a file of PEM certificates"):
        client_class("here:1", "m", root_certificates=tmp_path / "no.pem")
    with pytest.raises(FileNotFoundError):
        client_class("here:1", "m", root_certificates=tmp_path / "absent.pem")
    for token in ("", "a\nb", "ö"):
        with pytest.raises(ValueError, match=f"{name}: `token` must be printable ASCII text") as caught:
            client_class("here:1", "m", token=token)
        assert repr(token)[1:-1] not in str(caught.value) or not token, "a token is not for logs"
    with pytest.raises(ValueError, match=f"{name}: `timeout` must be positive"):
        client_class("here:1", "m", timeout=0)
