"""Many gRPC clients for next to no processor time, so that a load test measures the server."""

import selectors
import socket
import struct
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_FRAME = struct.Struct(">HBBBI")  # length (high, low), type, flags, stream
_LARGEST_WINDOW = 2**31 - 1
_FIRST_WINDOW = 65_535  # of a connection, whatever the settings say
_LARGEST_FRAME = 16_384
# Literals, since our settings leave the server no table to refer to.
_OK = b"\x0bgrpc-status\x010"


@dataclass
class LightClients:
    """Clients that each send the next request when the last is answered, all in the calling thread.

    A client of gRPC's own takes as long for a request as the server's part of gRPC does. These send frames of HTTP/2
    that were made once and look at no more of an answer than its end: that it is there and its status is OK.

    Args:
        port: int. Of a server without TLS on this machine.
        path: str. The method, such as `"/package.Service/Method"`.
        messages: what is sent in turn, serialized. At most 16 KB each.
        num_clients: int.
        num_connections: int. The clients share them. Defaults to `2`.
        keep_every: int. Keeps one in so many answers. Defaults to `50`.

    Attributes:
        milliseconds: list of float. From each request to its answer.
        kept: list of (int, bytes). The number of a message and an answer to it.

    Raises:
        RuntimeError: from `ask_for`, if an answer is an error or the server closes a connection.
    """

    port: int
    path: str
    messages: Sequence[bytes]
    num_clients: int
    num_connections: int = 2
    keep_every: int = 50
    milliseconds: list[float] = field(default_factory=list)
    kept: list[tuple[int, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._bodies = [_body(message) for message in self.messages]
        self._selector = selectors.DefaultSelector()
        head = _head(self.path, f"127.0.0.1:{self.port}")
        for number in range(self.num_connections):
            connection = _Connection(self, head, self.port, range(number, self.num_clients, self.num_connections))
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)

    def ask_for(self, seconds: float) -> None:
        """Asks until the time is over and everything is answered."""
        until = time.perf_counter() + seconds
        connections = [key.data for key in self._selector.get_map().values()]
        for connection in connections:
            connection.begin(until)
        while any(connection.asked for connection in connections):
            ready = self._selector.select(timeout=60.0)
            if not ready:
                raise RuntimeError("LightClients: the server has not answered for a minute.")
            for key, _ in ready:
                key.data.receive()

    def close(self) -> None:
        """Closes the connections."""
        for key in list(self._selector.get_map().values()):
            key.data.socket.close()
        self._selector.close()


class _Connection:
    def __init__(self, owner: LightClients, head: tuple[bytes, bytes], port: int, clients: range) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.asked: dict[int, tuple[int, int, float]] = {}  # stream -> client, message, when
        self._owner = owner
        self._head = head
        self._clients = clients
        self._received = b""
        self._messages: dict[int, bytes] = {}  # of streams whose answer is kept
        self._stream = 1
        self._window = _FIRST_WINDOW
        self._waiting: deque[tuple[int, int]] = deque()  # clients and messages for which the window is too small
        self._until = 0.0
        settings = struct.pack(">HIHIHI", 1, 0, 2, 0, 4, _LARGEST_WINDOW)  # no table of headers, no push, window
        self.socket.sendall(
            _PREFACE
            + _frame(_SETTINGS, 0, 0, settings)
            + _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _LARGEST_WINDOW - _FIRST_WINDOW))
        )

    def begin(self, until: float) -> None:
        self._until = until
        self._send([(client, client) for client in self._clients])

    def receive(self) -> None:
        data = self.socket.recv(1 << 20)
        if not data:
            raise RuntimeError("LightClients: the server closed the connection.")
        data = self._received + data
        start, answers, next_ones = 0, b"", []
        now = time.perf_counter()
        while len(data) - start >= 9:
            high, low, kind, flags, stream = _FRAME.unpack_from(data, start)
            end = start + 9 + (high << 8 | low)
            if end > len(data):
                break
            if kind == _HEADERS and flags & _END_STREAM:
                client, message, began = self._finished(stream, data[start + 9 : end])
                self._owner.milliseconds.append(1e3 * (now - began))
                if now < self._until:
                    next_ones.append((client, message + self._owner.num_clients))
            elif kind == _DATA:
                self._messages[stream] = self._messages.get(stream, b"") + data[start + 9 : end]
            elif kind == _SETTINGS and not flags & _ACK:
                answers += _frame(_SETTINGS, _ACK, 0, b"")
            elif kind == _PING and not flags & _ACK:
                answers += _frame(_PING, _ACK, 0, data[start + 9 : end])
            elif kind == _WINDOW_UPDATE and stream == 0:
                self._window += int.from_bytes(data[start + 9 : end])
            elif kind in (_RST_STREAM, _GOAWAY):
                raise RuntimeError(f"LightClients: the server gave up a request: {data[start + 9 : end]!r}.")
            start = end
        self._received = data[start:]
        if answers:
            self.socket.sendall(answers)
        if next_ones or self._waiting:
            self._send(next_ones)

    def _finished(self, stream: int, trailers: bytes) -> tuple[int, int, float]:
        client, message, began = self.asked.pop(stream)
        answer = self._messages.pop(stream, b"")
        if _OK not in trailers or not answer:
            raise RuntimeError(f"LightClients: a request was refused with the headers {trailers!r}.")
        if len(self._owner.milliseconds) % self._owner.keep_every == 0:
            self._owner.kept.append((message % len(self._owner.messages), answer[5:]))
        return client, message, began

    def _send(self, requests: Sequence[tuple[int, int]]) -> None:
        self._waiting.extend(requests)
        bodies, (head, fields) = self._owner._bodies, self._head
        parts, now = [], time.perf_counter()
        while self._waiting:
            client, message = self._waiting[0]
            data_head, body = bodies[message % len(bodies)]
            if len(body) > self._window:
                break
            self._waiting.popleft()
            self._window -= len(body)
            stream = self._stream.to_bytes(4)
            parts += (head, stream, fields, data_head, stream, body)
            self.asked[self._stream] = client, message, now
            self._stream += 2
        if parts:
            self.socket.sendall(b"".join(parts))


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return _FRAME.pack(len(payload) >> 8, len(payload) & 255, kind, flags, stream) + payload


def _head(path: str, authority: str) -> tuple[bytes, bytes]:
    """The HEADERS frame of every request, around the number of its stream."""
    fields = b"\x83\x86"  # POST and http, by their numbers in HTTP/2's table
    for name, value in (
        (b"\x04", path),
        (b"\x01", authority),
        (b"\x0f\x10", "application/grpc"),
        (b"\x00\x02te", "trailers"),
    ):
        fields += name + bytes([len(value)]) + value.encode()
    return _frame(_HEADERS, _END_HEADERS, 0, fields)[:5], fields


def _body(message: bytes) -> tuple[bytes, bytes]:
    """The DATA frame of a message, around the number of its stream."""
    body = b"\x00" + len(message).to_bytes(4) + message
    if len(body) > _LARGEST_FRAME:
        raise ValueError(
            f"LightClients: a message must not exceed {_LARGEST_FRAME - 5} bytes. Received: {len(message)} bytes."
        )
    return _frame(_DATA, _END_STREAM, 0, body)[:5], body
