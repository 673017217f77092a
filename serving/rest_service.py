"""TF Serving's REST API over the models of a server."""

import json
import logging
import zlib
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any

from aiohttp import web
from google.protobuf.json_format import MessageToDict
from tensorflow_serving.apis import model_pb2

from serving.beside_loop import beside_loop
from serving.example_inference import CLASSIFY, REGRESS, check_method, wanted_outputs
from serving.example_json import classifications_to_json, json_to_examples, regressions_to_json
from serving.model_manager import ModelManager
from serving.request_batcher import RequestBatcher
from serving.served_model import ServedModel
from serving.serving_error import HTTP_STATUS, ServingError, invalid_argument
from serving.tensor_json import Arrays, arrays_to_columns, arrays_to_rows, columns_to_arrays, rows_to_arrays
from serving.tensor_proto import MAX_MESSAGE_BYTES

logger = logging.getLogger(__name__)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Nineteen digits hold every int64, and int() refuses none of them.
_MODEL_PATHS = (
    r"/v1/models/{name:[^/:]+}",
    r"/v1/models/{name:[^/:]+}/versions/{version:[0-9]{1,19}}",
    r"/v1/models/{name:[^/:]+}/labels/{label:[^/:]+}",
)


class RestService:
    """Answers status, metadata, predict, classify and regress requests as TF Serving's REST API does.

    Every answer is JSON; an error is `{"error": message}` with the HTTP status of its code.

    Args:
        models: ModelManager. The loaded versions.
        batcher: RequestBatcher. Calls the models.
        pool: Executor. Where large bodies are read and written.
    """

    def __init__(self, models: ModelManager, batcher: RequestBatcher, pool: Executor) -> None:
        self._models = models
        self._batcher = batcher
        self._pool = pool

    def application(self) -> web.Application:
        """Returns the web application, to be run with `auto_decompress=False`; bodies may have up to 64 MiB."""
        application = web.Application(middlewares=[_answer_errors_in_json], client_max_size=MAX_MESSAGE_BYTES)
        for path in _MODEL_PATHS:
            application.router.add_get(path, self._get_status)
            application.router.add_get(path + "/metadata", self._get_metadata)
            application.router.add_post(path + ":predict", self._post_predict)
            application.router.add_post(path + ":classify", self._post_classify)
            application.router.add_post(path + ":regress", self._post_regress)
        return application

    async def _get_status(self, request: web.Request) -> web.Response:
        statuses = self._models.statuses(*_wanted(request))
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
        model = self._models.get(*_wanted(request))
        model_spec = model_pb2.ModelSpec(name=request.match_info["name"], version={"value": model.version})
        return web.json_response(
            {
                "model_spec": _message_to_json(model_spec),
                "metadata": {"signature_def": _message_to_json(model.signature_def_map)},
            }
        )

    async def _post_predict(self, request: web.Request) -> web.Response:
        body = await self._read(request)
        model = self._models.get(*_wanted(request))
        signature_name, inputs, is_by_row = await beside_loop(self._pool, len(body), _read_predict, model, body)
        outputs = await self._batcher.predict(model, signature_name, inputs)
        size = sum(array.nbytes for array in outputs.values())
        return _json_response(await beside_loop(self._pool, size, _write_predict, outputs, is_by_row))

    async def _post_classify(self, request: web.Request) -> web.Response:
        return await self._infer(request, CLASSIFY)

    async def _post_regress(self, request: web.Request) -> web.Response:
        return await self._infer(request, REGRESS)

    async def _infer(self, request: web.Request, method: str) -> web.Response:
        text = await self._read(request)
        body = await beside_loop(self._pool, len(text), _parse_body, text)
        model = self._models.get(*_wanted(request))
        signature = check_method(model, _signature_name(body), method)
        examples = await beside_loop(self._pool, len(text), json_to_examples, body)
        outputs = await self._batcher.predict(
            model, signature.name, {"inputs": examples}, wanted_outputs(signature, method)
        )
        to_json = classifications_to_json if method == CLASSIFY else regressions_to_json
        return _json_response(json.dumps({"results": to_json(outputs, len(examples))}))

    async def _read(self, request: web.Request) -> bytes:
        encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
        body = await request.read()
        return await beside_loop(self._pool, len(body), _unpack, body, encoding)


def _read_predict(model: ServedModel, body: bytes) -> tuple[str, Arrays, bool]:
    """Signature name, inputs, and whether they came row by row."""
    request = _parse_body(body)
    signature_name = _signature_name(request)
    signature = model.signature(signature_name)
    if ("instances" in request) == ("inputs" in request):
        raise invalid_argument(
            "The body must have exactly one of the keys 'instances' (rows) and 'inputs' (columns). "
            f"Received keys: {sorted(request)}."
        )
    if "instances" in request:
        return signature_name, rows_to_arrays(request["instances"], signature), True
    return signature_name, columns_to_arrays(request["inputs"], signature), False


def _write_predict(outputs: Arrays, is_by_row: bool) -> str:
    answer = {"predictions": arrays_to_rows(outputs)} if is_by_row else {"outputs": arrays_to_columns(outputs)}
    return json.dumps(answer)


def _signature_name(request: dict[str, Any]) -> str:
    name = request.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid_argument(f"'signature_name' must be a string. Received: {name!r}.")
    return name


def _json_response(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/json")


@web.middleware
async def _answer_errors_in_json(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ServingError as error:
        return _error_response(error.message, HTTP_STATUS.get(error.code, 500))
    except web.HTTPRequestEntityTooLarge:
        return _error_response(f"The body must not exceed {MAX_MESSAGE_BYTES} bytes.", 413)
    except web.HTTPException as error:
        # As TF Serving: below /v1/ an unknown path or method is a malformed request, elsewhere nothing is there.
        status = 400 if request.path.startswith("/v1/") else error.status
        return _error_response(f"Malformed request: {request.method} {request.path}", status)
    except ConnectionError:  # nobody is left to read the answer
        return _error_response("The client went away.", HTTP_STATUS["CANCELLED"])
    except Exception as error:
        logger.exception("REST request failed: %s %s", request.method, request.path)
        return _error_response(f"Internal error: {type(error).__name__}: {error}", 500)


def _error_response(message: str, status: int) -> web.Response:
    return web.json_response({"error": message}, status=status)


def _wanted(request: web.Request) -> tuple[str, int | None, str]:
    """Name, version and label of the model that a request asks for."""
    version = request.match_info.get("version")
    return request.match_info["name"], None if version is None else int(version), request.match_info.get("label", "")


def _unpack(body: bytes, encoding: str) -> bytes:
    """A body without its packing. aiohttp's own unpacking must be off: it fails with a traceback in the log."""
    if encoding == "identity" or not body:
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise invalid_argument(f"Content-Encoding must be gzip or none. Received: {encoding!r}.")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)  # 16: gzip's header
    try:
        unpacked = unpacker.decompress(body, MAX_MESSAGE_BYTES + 1)
    except zlib.error as error:
        raise invalid_argument(f"The body is not gzip: {error}.") from error
    if len(unpacked) > MAX_MESSAGE_BYTES:
        raise web.HTTPRequestEntityTooLarge(MAX_MESSAGE_BYTES, len(unpacked))
    if not unpacker.eof:
        raise invalid_argument("The body is not whole: its gzip stream does not end.")
    return unpacked


def _parse_body(body: bytes) -> dict[str, Any]:
    if not body:
        raise invalid_argument("JSON Parse error: the body is empty.")
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid_argument(f"JSON Parse error: {error}") from error
    if not isinstance(request, dict):
        raise invalid_argument(f"The body must be a JSON object. Received: {type(request).__name__}.")
    return request


def _message_to_json(message: Any) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
