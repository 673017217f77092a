"""What is said of few open files, at the start and when they run out."""

import asyncio
import errno
import resource

import pytest

from tfmtl.serving.server import shortages
from tfmtl.serving.server.limits import Limits
from tfmtl.serving.server.shortages import ShortageHandler, warn_of_few_files


@pytest.mark.parametrize(("files", "warns"), [(1024, True), (2099, True), (2100, False), (-1, False)])
def test_fewer_files_than_connections_are_said_at_the_start(monkeypatch, caplog, files, warns):
    monkeypatch.setattr(shortages.resource, "getrlimit", lambda _: (files, resource.RLIM_INFINITY))
    warn_of_few_files(Limits())
    assert bool(caplog.messages) == warns
    if files == 1024:
        assert "1000 connections are allowed on each of two protocols" in caplog.text
        assert "2100 (ulimit -n), or fewer connections (--max-connections 462)" in caplog.text


def test_a_shortage_is_one_line_and_anything_else_is_told_as_ever(caplog):
    handler, loop = ShortageHandler(), asyncio.new_event_loop()
    for number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM) * 50:
        handler(loop, {"message": "socket.accept()", "exception": OSError(number, "Too many open files")})
    assert len(caplog.messages) == 1 and "A connection cannot be taken: Too many open files." in caplog.messages[0]
    handler(loop, {"message": "something else", "exception": ZeroDivisionError("here")})
    loop.close()
    assert "something else" in caplog.messages[1]
