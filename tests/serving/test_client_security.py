"""TLS, certificates and tokens of all clients, against servers that ask for them."""

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

from tests.serving.blocking_client import BlockingClient
from tests.serving.certificates import TOKEN
from tfmtl.serving.async_grpc_client import AsyncGrpcClient
from tfmtl.serving.async_rest_client import AsyncRestClient
from tfmtl.serving.client.async_client import AsyncClient
from tfmtl.serving.client.retries import Retries
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.protocol.messages import MESSAGES
from tfmtl.serving.rest_client import RestClient
from tfmtl.serving.server.security import Security
from tfmtl.serving.serving_error import ServingError

pytestmark = pytest.mark.process

CLIENTS = [GrpcClient, RestClient, AsyncGrpcClient, AsyncRestClient]


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
def ports(pems: Path) -> Iterator[dict[type, int]]:
    """Port of the gRPC server and of the REST server, by client class."""
    chain, key = pems / "server.pem", pems / "server.key"
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
def test_certificate_and_token_open_the_door(client_class: type, ports: dict[type, int], pems: Path) -> None:
    address = f"127.0.0.1:{ports[client_class]}"
    roots = pems / "server.pem"
    assert ask(client_class, address, root_certificates=roots, token=TOKEN) == 3
    for token in (None, "wrong"):
        with pytest.raises(ServingError, match="UNAUTHENTICATED: who are you"):
            ask(client_class, address, root_certificates=str(roots), token=token)
    for wrong in ({"root_certificates": pems / "ca.pem"}, {"tls": True}, {}):
        with pytest.raises(ServingError, match=r"UNAVAILABLE: .*no server answers at"):
            ask(client_class, address, token=TOKEN, **wrong)


@pytest.fixture(scope="module")
def strict_server(exported: Path, pems: Path) -> Iterator[LocalServer]:
    """It demands a certificate that `ca.pem` signed."""
    security = Security(pems / "server.pem", pems / "server.key", pems / "ca.pem")
    with LocalServer(exported.parent, "m", grpc_port=0, rest_port=0, security=security) as server:
        yield server


@pytest.mark.parametrize("client_class", CLIENTS)
def test_clients_show_their_certificate(client_class: type, strict_server: LocalServer, pems: Path) -> None:
    port = strict_server.rest_port if "Rest" in client_class.__name__ else strict_server.grpc_port
    address, roots = f"127.0.0.1:{port}", {"root_certificates": pems / "server.pem"}
    pair = {"client_certificate": pems / "client.pem", "client_key": pems / "client.key"}
    assert ask(client_class, address, **roots, **pair) == 3
    assert ask(client_class, address, **roots, **{name: str(path) for name, path in pair.items()}) == 3
    stranger = {"client_certificate": pems / "server.pem", "client_key": pems / "server.key"}
    for wrong in ({}, stranger):
        with pytest.raises(ServingError, match=r"UNAVAILABLE: .*no server answers at"):
            ask(client_class, address, **roots, **wrong)
    # The server is not trusted for asking: without its root, the machine's own decide.
    with pytest.raises(ServingError, match=r"UNAVAILABLE: .*no server answers at"):
        ask(client_class, address, **pair)


def test_rest_urls_and_tls(ports: dict[type, int], pems: Path) -> None:
    url = f"https://127.0.0.1:{ports[RestClient]}"
    assert ask(RestClient, url, root_certificates=pems / "server.pem", token=TOKEN) == 3
    with pytest.raises(
        ValueError, match=r"RestClient: `address` must be an https URL for TLS\. Received: address='http:"
    ):
        RestClient("http://here:1", "m", tls=True)


@pytest.mark.parametrize("client_class", CLIENTS)
def test_arguments_are_checked_at_once(client_class: type, tmp_path: Path) -> None:
    name = client_class.__name__
    for text in ("nothing", ""):
        (tmp_path / "no.pem").write_text(text)
        with pytest.raises(ValueError, match=f"{name}: `root_certificates` must be a file of PEM certificates"):
            client_class("here:1", "m", root_certificates=tmp_path / "no.pem")
    for path in (tmp_path / "absent.pem", tmp_path, ""):
        with pytest.raises(OSError):
            client_class("here:1", "m", root_certificates=path)
    for token in ("", "a\nb", "ö"):
        with pytest.raises(ValueError, match=f"{name}: `token` must be printable ASCII text") as caught:
            client_class("here:1", "m", token=token)
        assert repr(token)[1:-1] not in str(caught.value) or not token, "a token is not for logs"
    with pytest.raises(ValueError, match=f"{name}: `timeout` must be a positive number"):
        client_class("here:1", "m", timeout=0)


@pytest.mark.parametrize("client_class", CLIENTS)
@pytest.mark.parametrize(
    ("certificate", "key", "message"),
    [
        ("client.pem", None, "`client_key` must be given with `client_certificate`"),
        (None, "client.key", "`client_certificate` must be given with `client_key`"),
        ("client.pem", "server.key", "must be PEM files of a certificate and its key.*mismatch"),
        ("client.key", "client.key", "must be PEM files of a certificate and its key"),
        ("server.pem", "locked.key", "Take the password off the key"),
    ],
)
def test_certificate_and_key_belong_together(
    client_class: type, pems: Path, certificate: str | None, key: str | None, message: str
) -> None:
    files = {"client_certificate": certificate and pems / certificate, "client_key": key and pems / key}
    with pytest.raises(ValueError, match=f"{client_class.__name__}: .*{message}"):
        client_class("here:1", "m", **files)


def test_certificates_need_their_files_and_https(pems: Path) -> None:
    with pytest.raises(FileNotFoundError):
        RestClient("here:1", "m", client_certificate=pems / "client.pem", client_key=pems / "absent.key")
    with pytest.raises(ValueError, match="`address` must be an https URL for TLS"):
        RestClient("http://here:1", "m", client_certificate=pems / "client.pem", client_key=pems / "client.key")
