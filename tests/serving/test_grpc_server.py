"""The server under the services: calls answered from any thread, clients that go, and ends at any moment."""

import asyncio
import threading

import grpc
import numpy as np
import pytest

from benchmarks.serving.light_clients import LightClients
from tests.serving.toy_models import FEATURES
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.rest_client import RestClient
from tfmtl.serving.server import choose_grpc_server
from tfmtl.serving.server.aio_grpc_server import AioGrpcServer
from tfmtl.serving.server.choose_grpc_server import has_known_core, make_grpc_server
from tfmtl.serving.server.grpc_server import GrpcServer
from tfmtl.serving.server.limits import Limits
from tfmtl.serving.server.security import Security
from tfmtl.serving.serving_error import ServingError

pytestmark = pytest.mark.process

ECHO, KEEP = "/test.Service/Echo", "/test.Service/Keep"


@pytest.fixture
def kept():
    """The calls of `Keep`, which nobody answers, and a semaphore that counts them."""
    return [], threading.Semaphore(0)


@pytest.fixture(scope="module")
def loop():
    """An event loop in a thread, where servers live."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


class Running:
    """A server in its loop."""

    def __init__(self, loop, kind, methods, limits=None, security=None):
        self.loop = loop
        self.inner = self.run(self._start(kind, methods, limits or Limits(), security or Security()))
        self.admission = self.inner.admission

    async def _start(self, kind, methods, limits, security):
        server = kind(methods, limits, security)
        self.port = server.open("127.0.0.1:0")
        await server.start()
        return server

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def stop(self, seconds):
        self.run(self.inner.stop(seconds))


@pytest.fixture(params=[GrpcServer, AioGrpcServer])
def server(request, kept, loop):
    def keep(call, message):
        kept[0].append(call)
        kept[1].release()

    methods = {ECHO: lambda call, message: call.answer(message[::-1]), KEEP: keep}
    server = Running(loop, request.param, methods)
    yield server
    if not getattr(server.inner, "_is_stopping", False):
        server.stop(0.1)


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


def test_a_method_nobody_has_is_unimplemented(channel):
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/test.Service/Other")(b"", timeout=30)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_the_first_answer_counts_and_any_thread_may_give_it(server, channel, kept):
    calls, come = kept
    future = channel.unary_unary(KEEP).future(b"x", timeout=30)
    assert come.acquire(timeout=30)
    told = []
    calls[0].watch(told.append)
    thread = threading.Thread(target=calls[0].answer, args=(b"first",))
    thread.start()
    assert future.result() == b"first"
    thread.join()
    calls[0].answer(b"second")
    calls[0].refuse("INTERNAL", "third")
    assert told == [True]
    calls[0].watch(told.append)
    assert told == [True, False]  # what comes late is told at once


def test_a_client_that_goes_is_told_and_no_longer_counted(server, channel, kept):
    calls, come = kept
    future = channel.unary_unary(KEEP).future(b"x", timeout=30)
    assert come.acquire(timeout=30)
    gone = threading.Event()
    calls[0].watch(lambda was_answered: was_answered or gone.set())
    future.cancel()
    assert gone.wait(30)
    assert server.admission._num_known == 0
    calls[0].answer(b"nobody reads it")


def test_who_has_the_answer_is_no_longer_counted(server, channel):
    """A client that asks one request after the other is never two."""
    server.admission._max_requests = 1
    for _ in range(300):
        assert channel.unary_unary(ECHO)(b"ab", timeout=30) == b"ba"


def test_a_method_that_fails_does_not_end_the_server(server, channel, monkeypatch, caplog):
    monkeypatch.setitem(server.inner._methods, ECHO, lambda call, message: 1 / 0)
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(ECHO)(b"x", timeout=1)
    assert caught.value.code() == grpc.StatusCode.INTERNAL
    assert "division by zero" in caplog.text
    monkeypatch.undo()
    assert channel.unary_unary(ECHO)(b"ab", timeout=30) == b"ba"


def test_it_ends_while_calls_wait_and_more_come(server, channel, kept):
    """Ending races with new calls and with answers: the core takes neither once it is ended."""
    calls, come = kept
    waiting = [channel.unary_unary(KEEP).future(b"x", timeout=30) for _ in range(5)]
    for _ in waiting:
        assert come.acquire(timeout=30)
    server.stop(0.1)
    for future in waiting:
        assert future.exception(timeout=30).code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    for call in calls:
        call.answer(b"too late")
    assert not getattr(server.inner, "_open", ())


@pytest.mark.parametrize("kind", [GrpcServer, AioGrpcServer])
def test_one_that_nobody_asked_ends_at_once(kind, loop):
    before = set(threading.enumerate())  # a client of another test may have left its thread
    for _ in range(20):
        server = Running(loop, kind, {})
        server.stop(10.0)
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name == "grpc"]


class TestBeforeTheMethod:
    """What a call meets before any method sees it, whichever server it is."""

    @pytest.fixture(params=[GrpcServer, AioGrpcServer])
    def server(self, request, loop, tmp_path):
        (tmp_path / "token").write_text("x" * 20)
        limits = Limits(max_message_bytes=2000, max_requests=2, read_seconds=0.5)
        methods = {ECHO: lambda call, message: call.answer(message[::-1])}
        server = Running(loop, request.param, methods, limits, Security(token_file=tmp_path / "token"))
        yield server
        server.stop(0.1)

    def ask(self, channel, message=b"ab", method=ECHO, token="x" * 20):
        try:
            return channel.unary_unary(method)(message, timeout=30, metadata=[("authorization", f"Bearer {token}")])
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"

    def test_token_method_and_size(self, channel):
        assert self.ask(channel) == b"ba"
        assert self.ask(channel, token="y").startswith("UNAUTHENTICATED: The server's token must come as metadata")
        assert self.ask(channel, method="/test.Service/Other") == "UNIMPLEMENTED: Method not found!"
        error = f"RESOURCE_EXHAUSTED: The message of {ECHO} must not exceed 2000 bytes (the server's "
        assert self.ask(channel, bytes(2001)).startswith(error)
        assert self.ask(channel, bytes(5000)).startswith("RESOURCE_EXHAUSTED: ")

    def test_messages_that_do_not_come(self, server, channel):
        release = threading.Event()

        def nothing():
            release.wait(30)
            yield from ()

        metadata = [("authorization", "Bearer " + "x" * 20)]
        stalled = [channel.stream_unary(ECHO).future(nothing(), timeout=30, metadata=metadata) for _ in range(5)]
        try:
            with grpc.insecure_channel(f"127.0.0.1:{server.port}") as other:
                for _ in range(20):
                    assert self.ask(other) == b"ba"
            errors = {f"{call.exception().code().name}: {call.exception().details()}" for call in stalled}
        finally:
            release.set()
        assert errors == {
            "RESOURCE_EXHAUSTED: Too many calls wait for their message. Send it with the call.",
            f"DEADLINE_EXCEEDED: The message of {ECHO} must arrive within 0.5 s (the server's --read-seconds).",
        }

    def test_a_call_without_a_message(self, channel):
        metadata = [("authorization", "Bearer " + "x" * 20)]
        with pytest.raises(grpc.RpcError) as caught:
            channel.stream_unary(ECHO)(iter(()), timeout=30, metadata=metadata)
        assert caught.value.code().name == "INVALID_ARGUMENT" and "without a message" in caught.value.details()


class TestWhichServer:
    def test_another_version_or_a_missing_name_has_grpc_aio(self, loop, monkeypatch):
        assert has_known_core("1.85.9")
        assert not has_known_core("1.86.0") and not has_known_core("1.9.0")
        monkeypatch.setattr(choose_grpc_server.grpc, "__version__", "1.99.0")

        async def make():
            return make_grpc_server({}, Limits(), Security())

        server = asyncio.run_coroutine_threadsafe(make(), loop).result(60)
        assert isinstance(server, AioGrpcServer)
        monkeypatch.delattr("grpc._cython.cygrpc.SendMessageOperation")
        assert not has_known_core("1.85.9")

    def test_a_whole_server_answers_alike_by_either(self, exported, monkeypatch):
        monkeypatch.setattr(choose_grpc_server, "has_known_core", lambda version: False)
        with LocalServer(exported.parent, "toy", grpc_port=0, rest_port=0) as server:
            with GrpcClient(f"127.0.0.1:{server.grpc_port}", "toy") as client:
                over_grpc = client.predict(FEATURES)
                assert client.status()[0].state == "AVAILABLE"
                with pytest.raises(ServingError, match="FAILED_PRECONDITION"):
                    client.predict(FEATURES, signature_name="none")
            over_rest = RestClient(f"127.0.0.1:{server.rest_port}", "toy").predict(FEATURES)
        np.testing.assert_array_equal(over_grpc["click"], over_rest["click"])


class TestLightClients:
    """The load test's clients are worth something only if they see what is wrong."""

    def test_every_client_gets_its_answers(self, server):
        messages = [bytes([number]) * (number + 1) + b"!" for number in range(7)]
        clients = LightClients(server.port, ECHO, messages, num_clients=5, num_connections=2, keep_every=1)
        clients.ask_for(0.3)
        clients.close()
        assert len(clients.milliseconds) == len(clients.kept) > 50
        assert {number for number, _ in clients.kept} == set(range(7))
        for number, answer in clients.kept:
            assert answer == messages[number][::-1]

    def test_a_refusal_is_an_error(self, server):
        clients = LightClients(server.port, "/test.Service/Other", [b"x"], num_clients=1, num_connections=1)
        with pytest.raises(RuntimeError, match=r"a request was refused with the headers .*Method not found!"):
            clients.ask_for(0.3)
        clients.close()
