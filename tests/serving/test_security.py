"""TLS, client certificates and the token, asked over both protocols."""

import json
import logging
import ssl
from http.client import HTTPConnection, HTTPSConnection

import grpc
import pytest
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from tests.serving.certificates import TOKEN
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.server.security import Security
from tfmtl.serving.serving_error import ServingError

pytestmark = pytest.mark.process

STATUS = "/tensorflow.serving.ModelService/GetModelStatus"


def serve(exported, security, **options):
    return LocalServer(exported.parent, "toy", grpc_port=0, rest_port=0, security=security, **options)


def ask_grpc(server, credentials=None, **metadata):
    """Returns the code of a GetModelStatus call."""
    address = f"127.0.0.1:{server.grpc_port}"
    channel = grpc.insecure_channel(address) if credentials is None else grpc.secure_channel(address, credentials)
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "toy"
    with channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        try:
            stub.GetModelStatus(request, timeout=30, metadata=list(metadata.items()))
        except grpc.RpcError as error:
            return error.code().name, error.details()
    return "OK", ""


def ask_rest(server, context=None, path="/v1/models/toy", **headers):
    """Returns the HTTP status and the parsed answer."""
    address = ("127.0.0.1", server.rest_port)
    connection = HTTPConnection(*address) if context is None else HTTPSConnection(*address, context=context)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


class TestTls:
    @pytest.fixture(scope="class")
    def server(self, exported, pems):
        with serve(exported, Security(pems / "server.pem", pems / "server.key")) as server:
            yield server

    def test_a_client_that_trusts_the_certificate_is_answered(self, server, pems):
        credentials = grpc.ssl_channel_credentials((pems / "server.pem").read_bytes())
        assert ask_grpc(server, credentials) == ("OK", "")
        assert ask_rest(server, ssl.create_default_context(cafile=pems / "server.pem"))[0] == 200

    def test_a_client_that_does_not_or_speaks_no_tls_gets_nothing(self, server, pems):
        assert ask_grpc(server, grpc.ssl_channel_credentials((pems / "ca.pem").read_bytes()))[0] == "UNAVAILABLE"
        assert ask_grpc(server)[0] == "UNAVAILABLE"
        with pytest.raises(ssl.SSLCertVerificationError):
            ask_rest(server, ssl.create_default_context(cafile=pems / "ca.pem"))
        with pytest.raises(ConnectionError):
            ask_rest(server)

    def test_old_versions_of_tls_are_refused(self, server, pems):
        context = ssl.create_default_context(cafile=pems / "server.pem")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask_rest(server, context)


def test_mutual_tls_asks_clients_for_a_certificate(exported, pems):
    security = Security(pems / "server.pem", pems / "server.key", pems / "ca.pem")
    root = (pems / "server.pem").read_bytes()
    pair = ((pems / "client.key").read_bytes(), (pems / "client.pem").read_bytes())
    stranger = ((pems / "server.key").read_bytes(), root)
    with serve(exported, security) as server:
        assert ask_grpc(server, grpc.ssl_channel_credentials(root, *pair)) == ("OK", "")
        context = ssl.create_default_context(cafile=pems / "server.pem")
        context.load_cert_chain(pems / "client.pem", pems / "client.key")
        assert ask_rest(server, context)[0] == 200
        for credentials in (grpc.ssl_channel_credentials(root), grpc.ssl_channel_credentials(root, *stranger)):
            assert ask_grpc(server, credentials)[0] == "UNAVAILABLE"
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask_rest(server, ssl.create_default_context(cafile=pems / "server.pem"))


class TestToken:
    @pytest.fixture(scope="class")
    def server(self, exported, pems):
        with serve(exported, Security(token_file=pems / "token")) as server:
            yield server

    @pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer  {TOKEN} "])
    def test_whoever_has_it_is_answered(self, server, header):
        assert ask_grpc(server, authorization=header) == ("OK", "")
        assert ask_rest(server, Authorization=header)[0] == 200

    @pytest.mark.parametrize(
        "header", [f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", TOKEN, f"Basic {TOKEN}", "Bearer", "Bearer ", ""]
    )
    def test_whoever_has_another_is_not(self, server, header):
        code, message = ask_grpc(server, authorization=header)
        assert code == "UNAUTHENTICATED"
        assert message == "The server's token must come as metadata 'authorization: Bearer <token>'. Received: another."
        status, answer = ask_rest(server, Authorization=header)
        expected = "The server's token must come in the header 'Authorization: Bearer <token>'. Received: another."
        assert (status, answer) == (401, {"error": expected})

    def test_whoever_has_none_is_not_and_learns_nothing_of_what_is_there(self, server):
        assert ask_grpc(server)[0] == "UNAUTHENTICATED"
        for path in ("/v1/models/toy", "/v1/models/other", "/nowhere"):
            status, answer = ask_rest(server, path=path)
            assert status == 401 and answer["error"].endswith("Received: none.")

    def test_health_checks_need_none(self):
        security = Security()
        object.__setattr__(security, "_token", TOKEN.encode())
        for path in ("/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch", "/healthz"):
            assert security.is_allowed(path, None)
        for path in (STATUS, "/v1/models/toy", "/healthz/../v1/models/toy", "/grpc.health.v1.HealthX"):
            assert not security.is_allowed(path, None)

    def test_it_is_shown_nowhere(self, pems):
        assert TOKEN not in repr(Security(token_file=pems / "token"))


class TestOptions:
    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (("server.pem", None, None), "`tls_key` must be given with `tls_certificate`"),
            ((None, "server.key", None), "`tls_certificate` must be given with `tls_key`"),
            ((None, None, "ca.pem"), "`tls_client_ca` must be given with `tls_certificate` and `tls_key`"),
            (("server.pem", "ca.key", None), "must be PEM files of a certificate and its key.*mismatch"),
            (("server.key", "server.key", None), "must be PEM files of a certificate and its key"),
            (("server.pem", "locked.key", None), "Take the password off the key"),
            (("server.pem", "server.key", "ca.key"), "`tls_client_ca` must be a PEM file of certificates"),
        ],
    )
    def test_files_that_do_not_fit_are_refused_at_once(self, pems, names, message):
        with pytest.raises(ValueError, match=f"Security: .*{message}"):
            Security(*(name and pems / name for name in names))

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            Security(tmp_path / "none.pem", tmp_path / "none.key")
        with pytest.raises(FileNotFoundError, match="none"):
            Security(token_file=tmp_path / "none")

    @pytest.mark.parametrize("text", ["", "short", "two words that are long", "ö" * 20, "x" * 15])
    def test_a_weak_token_is_refused(self, tmp_path, text):
        (tmp_path / "token").write_text(text)
        with pytest.raises(ValueError, match="`token_file` must hold one word of at least 16 ASCII characters"):
            Security(token_file=tmp_path / "token")


class TestOtherHosts:
    """A container's server has to listen on every address, and what is around it may keep others out: no error."""

    def warnings(self, caplog, security, host):
        with caplog.at_level(logging.WARNING):
            security.warn_about(host)
        return caplog.messages

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
    def test_this_machine_is_no_warning(self, caplog, host):
        assert self.warnings(caplog, Security(), host) == []

    def test_others_are_told_what_is_open(self, caplog, pems):
        (message,) = self.warnings(caplog, Security(), "0.0.0.0")
        assert "anybody who reaches it can query the model (--token-file)" in message
        assert "others on the network can read requests and answers (--tls-certificate, --tls-key)" in message
        caplog.clear()
        (message,) = self.warnings(caplog, Security(token_file=pems / "token"), "10.0.0.1")
        assert "can read requests" in message and "anybody" not in message
        caplog.clear()
        whole = Security(pems / "server.pem", pems / "server.key", token_file=pems / "token")
        assert self.warnings(caplog, whole, "0.0.0.0") == []

    def test_a_server_says_so_when_it_starts(self, exported, caplog):
        with caplog.at_level(logging.WARNING), serve(exported, Security(), host="0.0.0.0"):
            assert any("which is not this machine alone" in message for message in caplog.messages)


class TestBrowsers:
    """A page of another site that a user only looks at must not ask the model on the user's own machine."""

    @pytest.fixture(scope="class")
    def server(self, exported):
        with serve(exported, None) as server:
            yield server

    @pytest.mark.parametrize("origin", ["http://evil.example", "https://127.0.0.1", "null", "http://127.0.0.1:1"])
    def test_a_foreign_origin_is_refused(self, server, origin):
        status, answer = ask_rest(server, Origin=origin)
        assert status == 403 and answer["error"].startswith("A page of another site must not send requests")

    def test_a_name_that_stands_for_this_machine_is_refused(self, server):
        status, answer = ask_rest(server, Host="evil.example", Origin="http://evil.example")
        assert status == 403 and answer["error"].startswith("The header Host must be localhost or a loopback address.")

    @pytest.mark.parametrize("host", ["localhost", "localhost:8501", "127.0.0.1:1", "[::1]:8501", "127.8.8.8"])
    def test_this_machine_by_its_own_names_is_answered(self, server, host):
        assert ask_rest(server, Host=host)[0] == ask_rest(server, Host=host, Origin=f"http://{host}")[0] == 200

    def test_the_option_answers_them_all(self, exported):
        with serve(exported, Security(allow_any_origin=True)) as server:
            assert ask_rest(server, Origin="http://evil.example")[0] == 200
            assert ask_rest(server, Host="models.example")[0] == 200

    def test_on_the_net_a_host_may_have_any_name(self):
        Security().check_origin("models.example", None, "0.0.0.0")
        Security().check_origin("models.example:8501", "https://Models.example:8501", "0.0.0.0")
        with pytest.raises(ServingError, match="PERMISSION_DENIED"):
            Security().check_origin("models.example", "https://evil.example", "0.0.0.0")
        with pytest.raises(ServingError, match="PERMISSION_DENIED"):
            Security().check_origin("[::1", None, "127.0.0.1")
