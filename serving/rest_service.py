"""TF Serving's REST API over a model registry."""

import asyncio
import json
import logging
import math
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp import web
from google.protobuf.json_format import MessageToDict
from tensorflow_serving.apis import model_pb2

from serving.limits import Limits, too_large
from serving.model_registry import ModelRegistry
from serving.request_log import RequestLog
from serving.serving_error import HTTP_STATUS, ServingError, invalid_argument, quote
from serving.tensor_json import arrays_to_columns, arrays_to_rows, columns_to_arrays, rows_to_arrays

logger = logging.getLogger(__name__)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Nineteen digits hold every int64, and int() refuses none of them.
_MODEL_PATHS = (r"/v1/models/{name:[^/:]+}", r"/v1/models/{name:[^/:]+}/versions/{version:[0-9]{1,19}}")
_MAX_PATH_CHARACTERS = 200


class RestService:
    """Answers status, metadata and predict requests as TF Serving's REST API does.

    Every answer is JSON; an error is `{"error": message}` with the HTTP status of its code.

    Args:
        registry: ModelRegistry. The loaded versions.
        pool: ThreadPoolExecutor. Where bodies are parsed and the model is called.
        limits: Limits. Bytes, rows and memory of a request. Defaults to `Limits()`.
        request_log: RequestLog or None. Gets every answered predict request. Defaults to None.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        pool: ThreadPoolExecutor,
        limits: Limits | None = None,
        request_log: RequestLog | None = None,
    ) -> None:
        self._registry = registry
        self._pool = pool
        self._limits = limits or Limits()
        self._request_log = request_log

    def application(self, *middlewares: Any) -> web.Application:
        """Returns the web application, to be run with `auto_decompress=False`.

        Args:
            *middlewares: what a request passes on its way. A `ServingError` that one raises is answered as such.
        """
        application = web.Application(
            middlewares=[_answer_errors_in_json, *middlewares], client_max_size=self._limits.max_message_bytes
        )
        for path in _MODEL_PATHS:
            application.router.add_get(path, self._get_status)
            application.router.add_get(path + "/metadata", self._get_metadata)
            application.router.add_post(path + ":predict", self._post_predict)
        return application

    async def _get_status(self, request: web.Request) -> web.Response:
        statuses = self._registry.statuses(*_model_and_version(request))
        return web.json_response(
            {
                "model_version_status": [
                    {
                        "version": str(status.version),  # JSON for an int64, as protobuf writes it
                        "state": status.state,
                        "status": {"error_code": status.error_code, "error_message": status.error_message},
                    }
                    for status in statuses
                ]
            }
        )

    async def _get_metadata(self, request: web.Request) -> web.Response:
        model_name, version = _model_and_version(request)
        model = self._registry.get(model_name, version)
        model_spec = model_pb2.ModelSpec(name=model_name, version={"value": model.version})
        return web.json_response(
            {
                "model_spec": _message_to_json(model_spec),
                "metadata": {"signature_def": _message_to_json(model.signature_def_map)},
            }
        )

    async def _post_predict(self, request: web.Request) -> web.Response:
        model_name, version = _model_and_version(request)
        body = await request.read()
        encoding = request.headers.get("Content-Encoding", "identity")
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._pool, self._predict, model_name, version, body, encoding)
        return web.Response(text=answer, content_type="application/json")

    def _predict(self, model_name: str, version: int | None, body: bytes, encoding: str) -> str:
        model = self._registry.get(model_name, version)
        request = _parse_body(self._unpack(body, encoding.strip().lower()))
        signature_name = request.get("signature_name", "")
        if not isinstance(signature_name, str):
            raise invalid_argument(f"'signature_name' must be a string. Received: {quote(signature_name)}.")
        signature = model.signature(signature_name)
        if ("instances" in request) == ("inputs" in request):
            raise invalid_argument(
                "The body must have exactly one of the keys 'instances' (rows) and 'inputs' (columns). "
                f"Received keys: {sorted(request)}."
            )
        is_by_row = "instances" in request
        inputs = (
            rows_to_arrays(request["instances"], signature)
            if is_by_row
            else columns_to_arrays(request["inputs"], signature)
        )
        self._limits.check_arrays(signature, inputs)
        outputs = model.predict(signature_name, inputs)
        answer = {"predictions": arrays_to_rows(outputs)} if is_by_row else {"outputs": arrays_to_columns(outputs)}
        if self._request_log is not None:
            self._request_log.offer(model_name, model.version, signature.name, inputs, outputs)
        return json.dumps(answer)

    def _unpack(self, body: bytes, encoding: str) -> bytes:
        """A body without its packing. aiohttp's own unpacking must be off: it fails with a traceback in the log."""
        if encoding == "identity" or not body:
            return body
        if encoding not in ("gzip", "x-gzip"):
            raise invalid_argument(f"Content-Encoding must be gzip or none. Received: {quote(encoding)}.")
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)  # 16: gzip's header
        try:
            unpacked = unpacker.decompress(body, self._limits.max_message_bytes + 1)
        except zlib.error as error:
            raise invalid_argument(f"The body is not gzip: {error}.") from error
        if len(unpacked) > self._limits.max_message_bytes:
            raise too_large(f"The unpacked body must not exceed {self._limits.message_text}.")
        if not unpacker.eof:
            raise invalid_argument("The body is not whole: its gzip stream does not end.")
        if unpacker.unused_data:
            raise invalid_argument(f"The body goes on for {len(unpacker.unused_data)} bytes after its gzip stream.")
        return unpacked


@web.middleware
async def _answer_errors_in_json(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ServingError as error:
        return _error_response(error.message, error.http_status)
    except web.HTTPException as error:
        # As TF Serving: below /v1/ an unknown path or method is a malformed request, elsewhere nothing is there.
        status = 400 if request.path.startswith("/v1/") else error.status
        return _error_response(f"Malformed request: {request.method} {request.path[:_MAX_PATH_CHARACTERS]}", status)
    except ConnectionError:  # nobody is left to read the answer
        return _error_response("The client went away.", HTTP_STATUS["CANCELLED"])
    except Exception as error:
        logger.exception("REST request failed: %s %s", request.method, request.path)
        return _error_response(f"Internal error: {type(error).__name__}: {error}", 500)


def _error_response(message: str, status: int) -> web.Response:
    return web.json_response({"error": message}, status=status)


def _model_and_version(request: web.Request) -> tuple[str, int | None]:
    version = request.match_info.get("version")
    return request.match_info["name"], None if version is None else int(version)


def _parse_body(body: bytes) -> dict[str, Any]:
    if not body:
        raise invalid_argument("JSON Parse error: the body is empty.")
    try:
        request = json.loads(body, parse_float=_parse_float, object_pairs_hook=_make_object)
    except (ValueError, RecursionError) as error:
        raise invalid_argument(f"JSON Parse error: {error}") from error
    if not isinstance(request, dict):
        raise invalid_argument(f"The body must be a JSON object. Received: {type(request).__name__}.")
    return request


def _parse_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):  # the literal Infinity does not come here
        raise ValueError(f"the number {quote(text)} is beyond the range of float64")
    return value


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        ((name, count),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"an object has the key {quote(name)} {count} times")
    return values


def _message_to_json(message: Any) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
