"""A process that has imported TensorFlow and forks one for every job: fresh, without the seconds of the import.

python -m tests.support.warm_process <socket>

It has loaded TensorFlow, Keras and nothing of this repository, and computed nothing. It ends when the last process that
holds a connection has gone.
"""

import contextlib
import gc
import json
import os
import random
import runpy
import selectors
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np

HOLD = b"hold"
_MESSAGE = 2**20


def run_job(job: dict[str, Any]) -> int:
    """Does in this process what Python does with the arguments, and returns its exit status."""
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    given = [str(Path(path).resolve()) for path in job["env"].get("PYTHONPATH", "").split(os.pathsep) if path]
    arguments: list[str] = job["arguments"]
    kind, own = (arguments[0], arguments[1:]) if arguments[0] in ("-c", "-m") else ("", arguments)
    first = str(Path(own[0]).resolve().parent) if not kind else job["cwd"]
    sys.path[:] = [first, *given, *(path for path in sys.path[1:] if path not in (first, *given))]
    sys.argv = ["-c", *own[1:]] if kind == "-c" else list(own)
    random.seed()
    np.random.seed()
    status = 0
    try:
        if kind == "-c":
            exec(compile(own[0], "<string>", "exec"), {"__name__": "__main__"})
        elif kind == "-m":
            runpy.run_module(own[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(own[0], run_name="__main__")
    except SystemExit as exit_:
        if isinstance(exit_.code, str):
            print(exit_.code, file=sys.stderr)
        status = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError):  # closed by the job
            stream.flush()
    return status


def serve_job(connection: socket.socket, message: bytes, streams: list[int]) -> None:
    """Forks the process of a job, tells its number, and its exit status when it has ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if not child:
        status = 1
        try:
            connection.close()
            for target, stream in enumerate(streams):
                os.dup2(stream, target)
            status = run_job(json.loads(message))
        finally:
            os._exit(status)
    for stream in streams:
        os.close(stream)
    connection.send(str(child).encode())
    _, status = os.waitpid(child, 0)
    connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def main(path: str) -> None:
    """Serves until nobody holds a connection any more."""
    import keras  # noqa: F401  # what the jobs find loaded
    import tensorflow  # noqa: F401

    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that serve a job
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener, selectors.DefaultSelector() as selector:
        listener.bind(f"{path}.new")
        listener.listen(64)
        os.rename(f"{path}.new", path)  # who finds it can connect
        selector.register(listener, selectors.EVENT_READ)
        held: set[socket.socket] = set()
        had_one = False
        while held or not had_one:
            for key, _ in selector.select():
                if key.fileobj is not listener:
                    holder = key.fileobj
                    assert isinstance(holder, socket.socket)
                    if not holder.recv(1):
                        selector.unregister(holder)
                        held.discard(holder)
                        holder.close()
                    continue
                connection, _ = listener.accept()
                message, streams, *_ = socket.recv_fds(connection, _MESSAGE, 3)
                if message == HOLD:
                    held.add(connection)
                    had_one = True
                    selector.register(connection, selectors.EVENT_READ)
                    continue
                if not os.fork():
                    try:
                        listener.close()
                        for other in held:
                            other.close()
                        serve_job(connection, message, streams)
                    finally:
                        os._exit(0)
                connection.close()
                for stream in streams:
                    os.close(stream)


if __name__ == "__main__":
    main(sys.argv[1])
