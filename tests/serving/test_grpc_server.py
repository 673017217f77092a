"""The server under the services: calls answered from any thread, clients that go, and ends at any moment."""

import asyncio
import threading

import grpc
import pytest

from benchmarks.serving.light_clients import LightClients
from serving.server.grpc_server import GrpcServer
from serving.server.limits import Limits
from serving.server.security import Security

ECHO, KEEP = "/test.Service/Echo", "/test.Service/Keep"


@pytest.fixture
def kept():
    """The calls of `Keep`, which nobody answers, and a semaphore that counts them."""
    return [], threading.Semaphore(0)


@pytest.fixture
def server(kept):
    def keep(call, message):
        kept[0].append(call)
        kept[1].release()

    methods = {ECHO: lambda call, message: call.answer(message[::-1]), KEEP: keep}
    server = GrpcServer(methods, Limits(), Security())
    server.port = server.open("127.0.0.1:0")
    server.start()
    yield server
    if not server._is_stopping:
        asyncio.run(server.stop(0.1))


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
    monkeypatch.setitem(server._methods, ECHO, lambda call, message: 1 / 0)
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
    asyncio.run(server.stop(0.1))
    for future in waiting:
        assert future.exception(timeout=30).code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    for call in calls:
        call.answer(b"too late")
    assert not server._open


@pytest.mark.parametrize("attempt", range(20))
def test_one_that_nobody_asked_ends_at_once(attempt):
    server = GrpcServer({}, Limits(), Security())
    server.open("127.0.0.1:0")
    server.start()
    asyncio.run(server.stop(10.0))
    assert not server._thread.is_alive()


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
