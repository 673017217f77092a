"""Seeded makers of requests that no honest client sends, as bytes for the wire."""

import json
import random
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2

from tests.serving.shop_model import shop_request

SIGNATURES = ("serving_default", "rank", "echo")
_SIZES = (-1, -(2**63), 0, 1, 5, 2**31, 2**40, 2**62, 2**63 - 1)
_NUMBER_FIELDS = ("float_val", "double_val", "int_val", "int64_val", "uint32_val", "uint64_val", "half_val")


class Hostile(NamedTuple):
    """One request: what is sent, and a word the refusal has to hold, where the damage is known."""

    body: bytes
    word: str = ""


def make_proto(features: dict[str, np.ndarray], signature_name: str) -> Any:
    """Returns a `PredictRequest`, with numbers in either of the two forms."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "shop"
    request.model_spec.signature_name = signature_name
    for name, array in features.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
    return request


def damage_bytes(rng: random.Random, data: bytes) -> bytes:
    """Flips, cuts out, repeats or inserts a few bytes."""
    damaged = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8])):
        start = rng.randrange(len(damaged) + 1)
        end = min(start + rng.choice([1, 1, 4, 50]), len(damaged))
        kind = rng.randrange(5)
        if kind == 0:
            damaged[start:end] = bytes(byte ^ 1 << rng.randrange(8) for byte in damaged[start:end])
        elif kind == 1:
            damaged[start:end] = rng.randbytes(end - start)
        elif kind == 2:
            del damaged[start:end]
        elif kind == 3:
            damaged[start:start] = damaged[start:end] * 3
        else:
            damaged[start:start] = rng.randbytes(rng.choice([1, 3, 40]))
    return bytes(damaged)


class HostileProtos:
    """Makes `PredictRequest` messages that are damaged in one way.

    Args:
        seed: int. Equal seeds give equal requests.
    """

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._kinds = [
            *(self._raw_bytes,) * 4, self._dtype, self._sizes, self._rank, self._values, self._content,
            self._other_fields, self._names, self._model_spec, self._output_filter, self._odd_values,
        ]  # fmt: skip

    def make(self) -> Hostile:
        """Returns the next request."""
        signature_name = self._rng.choice(SIGNATURES)
        request = make_proto(shop_request(self._rng, signature_name), signature_name)
        return self._rng.choice(self._kinds)(request)

    def _input(self, request: Any) -> tuple[str, Any]:
        name = self._rng.choice(sorted(request.inputs))
        return name, request.inputs[name]

    def _raw_bytes(self, request: Any) -> Hostile:
        return Hostile(damage_bytes(self._rng, request.SerializeToString(deterministic=True)))

    def _dtype(self, request: Any) -> Hostile:
        name, tensor = self._input(request)
        tensor.dtype = self._rng.choice([number for number in (*range(32), 101, 2**31 - 1) if number != tensor.dtype])
        return Hostile(request.SerializeToString(), name)

    def _sizes(self, request: Any) -> Hostile:
        _, tensor = self._input(request)
        if not tensor.tensor_shape.dim:
            return self._raw_bytes(request)
        self._rng.choice(tensor.tensor_shape.dim).size = self._rng.choice(_SIZES)
        return Hostile(request.SerializeToString())

    def _rank(self, request: Any) -> Hostile:
        name, tensor = self._input(request)
        shape = tensor.tensor_shape
        kind = self._rng.randrange(4)
        if kind == 0:
            shape.unknown_rank = True
        elif kind == 1:
            shape.ClearField("dim")
        elif kind == 2:
            shape.dim.add(size=self._rng.choice([1, 0, 2**62]))
        else:
            for _ in range(self._rng.choice([31, 64, 255, 20_000])):
                shape.dim.add(size=self._rng.choice([1, 2]))
        return Hostile(request.SerializeToString(), name)

    def _values(self, request: Any) -> Hostile:
        """Values in another number than the shape says: too many is a mistake, too few repeats the last."""
        _, tensor = self._input(request)
        size = self._rng.choice([0, 1, 7, 300])
        for field in ("string_val", "float_val", "int64_val"):
            values = list(getattr(tensor, field))
            if values or self._rng.random() < 0.3:
                tensor.ClearField(field)
                fill: Any = b"x" if field == "string_val" else 1
                getattr(tensor, field).extend((values * size)[:size] or [fill] * size)
        return Hostile(request.SerializeToString())

    def _content(self, request: Any) -> Hostile:
        _, tensor = self._input(request)
        tensor.tensor_content = self._rng.randbytes(self._rng.choice([1, 3, 4, 8, 32, 1000]))
        return Hostile(request.SerializeToString())

    def _other_fields(self, request: Any) -> Hostile:
        name, tensor = self._input(request)
        field = self._rng.choice([*_NUMBER_FIELDS, "bool_val", "resource_handle_val", "variant_val"])
        if field in ("resource_handle_val", "variant_val"):
            getattr(tensor, field).add()
            tensor.dtype = 20 if field == "resource_handle_val" else 21
            return Hostile(request.SerializeToString(), name)
        getattr(tensor, field).extend([1] * self._rng.randrange(1, 4))
        return Hostile(request.SerializeToString())

    def _names(self, request: Any) -> Hostile:
        name, tensor = self._input(request)
        kind = self._rng.randrange(3)
        other = self._rng.choice([name[:-1], name + "_", "", "ö" * 10, "\x00", "a" * 100_000, "prise", "名" * 9000])
        if kind < 2:
            request.inputs[other].CopyFrom(tensor)
        if kind > 0:
            del request.inputs[name]
        return Hostile(request.SerializeToString(), "input")

    def _model_spec(self, request: Any) -> Hostile:
        spec = request.model_spec
        kind = self._rng.randrange(5)
        odd = self._rng.choice(["", "Shop", "shop/1", "名" * 5000, "x" * 100_000, "%s", "\r\nx: y"])
        if kind == 0:
            spec.name = odd
            return Hostile(request.SerializeToString(), "model")
        if kind == 1:
            spec.signature_name = odd or "missing"
            return Hostile(request.SerializeToString(), "ignature")
        if kind == 2:
            spec.version.value = self._rng.choice([-1, 0, 2, -(2**63), 2**63 - 1])
            return Hostile(request.SerializeToString(), "version")
        if kind == 3:
            spec.version_label = odd or "canary"
            return Hostile(request.SerializeToString(), "abel")
        # A varint of eleven bytes is beyond int64.
        head = b"\x0a\x14\x0a\x04shop\x12\x0c\x08" + b"\xff" * 10 + b"\x01"
        return Hostile(head, "parsed")

    def _output_filter(self, request: Any) -> Hostile:
        names = self._rng.choice([["clik"], [""], ["click", "click"], ["x"] * 50_000, ["名" * 5000]])
        request.output_filter.extend(names)
        return Hostile(request.SerializeToString(), "output")

    def _odd_values(self, request: Any) -> Hostile:
        """Odd, but right: these have to be answered."""
        for tensor in request.inputs.values():
            array = tf.make_ndarray(tensor)
            flat = array.reshape(-1)
            for index in range(flat.size):
                if self._rng.random() < 0.5:
                    flat[index] = self._odd_value(array.dtype)
            tensor.CopyFrom(tf.make_tensor_proto(array, tf.string if array.dtype == object else array.dtype))
        return Hostile(request.SerializeToString(), "ok")

    def _odd_value(self, dtype: Any) -> Any:
        if dtype.kind == "O":
            return self._rng.choice([b"\xff\xfe", b"\x00" * 9, b"x" * self._rng.choice([1000, 1 << 17]), "😀".encode()])
        if dtype == np.int64:
            return self._rng.choice([0, -1, 2**53, 2**62])
        return self._rng.choice([np.nan, np.inf, -np.inf, 1e-45, -0.0, 3.4e38])


class HostileJson:
    """Makes bodies of REST requests that are damaged in one way.

    Args:
        seed: int. Equal seeds give equal requests.
    """

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def make(self) -> Hostile:
        """Returns the next body."""
        body = self._valid()
        kind = self._rng.randrange(10)
        if kind < 3:
            return Hostile(damage_bytes(self._rng, json.dumps(body).encode()))
        if kind < 8:
            self._replace_a_leaf(body)
            return Hostile(json.dumps(body, ensure_ascii=self._rng.random() < 0.5).encode("utf-8", "surrogatepass"))
        if kind == 8:
            return Hostile(self._replace_a_number(json.dumps(body)).encode())
        return self._odd_body(json.dumps(body))

    def _valid(self) -> dict[str, Any]:
        signature_name = self._rng.choice(SIGNATURES)
        columns = {name: _to_json(array.tolist()) for name, array in shop_request(self._rng, signature_name).items()}
        if signature_name != "rank" and self._rng.random() < 0.5:
            rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
            return {"signature_name": signature_name, "instances": rows}
        return {"signature_name": signature_name, "inputs": columns}

    def _replace_a_leaf(self, body: dict[str, Any]) -> None:
        """Walks down to a random place and puts something else there."""
        inside: Any = body
        while True:
            keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
            key = self._rng.choice(keys)
            if not isinstance(inside[key], dict | list) or not inside[key] or self._rng.random() < 0.2:
                break
            inside = inside[key]
        kind = self._rng.randrange(5)
        if kind == 0 and isinstance(inside, dict):
            inside[self._rng.choice(["", "x" * 9999, "\ud800", "prise", "名"])] = inside.pop(key)
        elif kind == 1:
            del inside[key]
        else:
            inside[key] = self._odd_leaf()

    def _odd_leaf(self) -> Any:
        nested: Any = 1
        for _ in range(self._rng.choice([1, 33, 900])):
            nested = [nested] if self._rng.random() < 0.9 else {"a": nested}
        return self._rng.choice(
            [
                None, True, 0, -1, 2**24 + 1, 2**63, -(2**63) - 1, 10**4000, 1.5, 1e39, float("nan"), float("inf"),
                "", "text", "\ud800", "\x00", "x" * 100_000, {"b64": "/w=="}, {"b64": "/w="}, {"b64": "ö"}, {"b64": 1},
                {}, [], [[]], [1, "a"], nested,
            ]
        )  # fmt: skip

    def _replace_a_number(self, text: str) -> str:
        digits = [index for index, character in enumerate(text) if character.isdigit()] or [0]
        index = self._rng.choice(digits)
        odd = self._rng.choice(
            ["1e400", "-1e999", "1" * 400 + ".0", "9" * 5000, "0x10", "01", "1e", "NaN", "--1", "1_0"]
        )
        return text[:index] + odd + text[index + 1 :]

    def _odd_body(self, text: str) -> Hostile:
        odd = [
            Hostile(b"", "empty"),
            Hostile(b"[" * self._rng.choice([900, 100_000]), "JSON"),
            Hostile(b'{"a":' * self._rng.choice([900, 100_000]), "JSON"),
            Hostile(text.encode()[:-1], "JSON"),
            Hostile(text.encode() + b"}", "JSON"),
            Hostile(text.encode().replace(b"i", b"\xff", 1), "JSON"),
            Hostile(("\ufeff" + text).encode("utf-8")),
            Hostile(text.encode("utf-16")),
            Hostile(("{" + text[1:-1] + "," + text[1:]).encode(), "twice|2 times"),
            Hostile(
                text.replace('"signature_name"', '"signature_name": "echo", "signature_name"', 1).encode(), "2 times"
            ),
            Hostile(b"null", "object"),
            Hostile(b'"' + b"\\ud800" * 1000 + b'"', "object"),
            Hostile(b'{"instances": ' + b"[1]," * 1000 + b"[]}", "JSON"),
            Hostile(b'{"signature_name": [[["x"]]], "inputs": {}}', "signature_name"),
        ]
        return self._rng.choice(odd)


def _to_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_to_json(each) for each in value]
    return value.decode() if isinstance(value, bytes) else value


def hostile_http(rng: random.Random) -> bytes:
    """Bytes that are no proper HTTP/1.1 request, or are one that says what is not so."""
    body = b'{"signature_name": "echo", "inputs": ["a"]}'
    head = b"POST /v1/models/shop:predict HTTP/1.1\r\nHost: localhost\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    chunked = b"Transfer-Encoding: chunked\r\n\r\n"
    scripts = [
        head[: rng.randrange(len(head))],
        head + length + body[: rng.randrange(len(body))],
        head + b"Content-Length: %d\r\n\r\n" % rng.choice([1, 10, 1000, 10**12]) + body,
        head
        + b"Content-Length: %s\r\n\r\n" % rng.choice([b"-1", b"+5", b"1e3", b"abc", b"9" * 30, b"", b"5, 6"])
        + body,
        head + b"Content-Length: 5\r\nContent-Length: 43\r\n\r\n" + body,
        head
        + chunked
        + rng.choice([b"-1\r\n", b"zz\r\n", b"f" * 20 + b"\r\n", b"5\r\nab", b"2\r\nabXX", b";\r\n"])
        + body,
        head + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        head + b"X: " + b"y" * 20_000 + b"\r\n" + length + body,
        head + b"".join(b"X%d: y\r\n" % index for index in range(300)) + length + body,
        head
        + rng.choice([b"X\x00: y\r\n", b"X : y\r\n", b": y\r\n", b" folded\r\n", b"X: \xff\xfe\r\n"])
        + length
        + body,
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /v1/models/%" + rng.randbytes(3).hex().encode() + b"%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        rng.choice(
            [b"GET", b"\x16\x03\x01\x02\x00\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
        ),
        rng.randbytes(rng.choice([1, 40, 3000])),
        damage_bytes(rng, head + length + body),
        (head + length + body) * 40,
        head + b"Expect: 100-continue\r\n" + length,
        head + b"Upgrade: websocket\r\nConnection: Upgrade\r\n" + length + body,
    ]
    return rng.choice(scripts)


def hostile_http2(rng: random.Random) -> bytes:
    """Bytes for the gRPC port: no HTTP/2, or frames that break its rules."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"

    def frame(size: int, kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        return size.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

    payload = rng.randbytes(rng.choice([0, 8, 100]))
    scripts = [
        rng.randbytes(rng.choice([1, 40, 3000])),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        preface[: rng.randrange(len(preface))],
        preface + rng.randbytes(100),
        preface + settings + frame(len(payload), rng.randrange(12), rng.randrange(256), rng.choice([0, 1, 2]), payload),
        preface + settings + frame(2**24 - 1, rng.randrange(12), 0, 1, payload),
        preface + settings + frame(4, 3, 0, 1, b"\x00" * 4) * 100,
        preface + settings * 1000,
        preface + settings + frame(8, 6, 0, 0, b"\x00" * 8) * 1000,
        b"\x16\x03\x01\x02\x00\x01" + rng.randbytes(50),
    ]
    return rng.choice(scripts)


def string_tensor(text: bytes) -> tensor_pb2.TensorProto:
    """Returns a tensor of one row of text."""
    return tensor_pb2.TensorProto(dtype=7, tensor_shape=tf.TensorShape([1]).as_proto(), string_val=[text])
