"""TF Serving's REST API over the models of a server."""

import json
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any

from aiohttp import web
from google.protobuf.json_format import MessageToDict
from tensorflow_serving.apis import model_pb2

from tfmtl.serving.protocol.tensor_json import Arrays, arrays_to_columns, arrays_to_rows
from tfmtl.serving.server.beside_loop import beside_loop
from tfmtl.serving.server.body_reader import BodyReader
from tfmtl.serving.server.example_inference import CLASSIFY, REGRESS, check_method, wanted_outputs
from tfmtl.serving.server.example_json import classifications_to_json, regressions_to_json
from tfmtl.serving.server.json_body import EXAMPLES_INPUT, JsonBody
from tfmtl.serving.server.limits import Limits
from tfmtl.serving.server.model_manager import ModelManager
from tfmtl.serving.server.request_batcher import RequestBatcher
from tfmtl.serving.server.request_log import RequestLog
from tfmtl.serving.server.rest_guard import BODY
from tfmtl.serving.server.served_model import ServedModel
from tfmtl.serving.serving_error import HTTP_STATUS, ServingError, internal_error

logger = logging.getLogger(__name__)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Nineteen digits hold every int64, and int() refuses none of them.
_MODEL_PATHS = (
    r"/v1/models/{name:[^/:]+}",
    r"/v1/models/{name:[^/:]+}/versions/{version:[0-9]{1,19}}",
    r"/v1/models/{name:[^/:]+}/labels/{label:[^/:]+}",
)
_MAX_PATH_CHARACTERS = 200


class RestService:
    """Answers status, metadata, predict, classify and regress requests as TF Serving's REST API does.

    Every answer is JSON; an error is `{"error": message}` with the HTTP status of its code.

    Args:
        models: ModelManager. The loaded versions.
        batcher: RequestBatcher. Calls the models.
        pool: Executor. Where large answers are written.
        limits: Limits. Bytes, rows and memory of a request. Defaults to `Limits()`.
        request_log: RequestLog or None. Gets every answered predict request. Defaults to None.
    """

    def __init__(
        self,
        models: ModelManager,
        batcher: RequestBatcher,
        pool: Executor,
        limits: Limits | None = None,
        request_log: RequestLog | None = None,
    ) -> None:
        self._models = models
        self._batcher = batcher
        self._pool = pool
        self._limits = limits or Limits()
        self._request_log = request_log
        self._bodies = BodyReader(pool, self._limits)

    def application(self, *middlewares: Any) -> web.Application:
        """Returns the web application, to be run with `auto_decompress=False`.

        Args:
            *middlewares: what a request passes on its way, `RestGuard.check` among them, which reads its body. A
                `ServingError` that one raises is answered as such.
        """
        application = web.Application(middlewares=[_answer_errors_in_json, *middlewares])
        application.on_cleanup.append(self._close)
        for path in _MODEL_PATHS:
            application.router.add_get(path, self._get_status)
            application.router.add_get(path + "/metadata", self._get_metadata)
            application.router.add_post(path + ":predict", self._post_predict)
            application.router.add_post(path + ":classify", self._post_classify)
            application.router.add_post(path + ":regress", self._post_regress)
        return application

    async def _close(self, application: web.Application) -> None:
        await self._bodies.close()

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
        model = self._models.get(*_wanted(request))
        body = await self._read(request, model, is_predict=True)
        outputs = await self._batcher.predict(model, body.signature_name, body.inputs)
        size = sum(array.nbytes for array in outputs.values())
        answer = await beside_loop(self._pool, size, _write_predict, outputs, body.is_by_row)
        if self._request_log is not None:
            self._request_log.offer(
                request.match_info["name"], model.version, body.signature_name, body.inputs, outputs
            )
        return _json_response(answer)

    async def _post_classify(self, request: web.Request) -> web.Response:
        return await self._infer(request, CLASSIFY)

    async def _post_regress(self, request: web.Request) -> web.Response:
        return await self._infer(request, REGRESS)

    async def _infer(self, request: web.Request, method: str) -> web.Response:
        model = self._models.get(*_wanted(request))
        body = await self._read(request, model, is_predict=False)
        signature = check_method(model, body.signature_name, method)
        outputs = await self._batcher.predict(model, signature.name, body.inputs, wanted_outputs(signature, method))
        to_json = classifications_to_json if method == CLASSIFY else regressions_to_json
        return _json_response(json.dumps({"results": to_json(outputs, len(body.inputs[EXAMPLES_INPUT]))}))

    async def _read(self, request: web.Request, model: ServedModel, is_predict: bool) -> JsonBody:
        encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
        return await self._bodies.read(request[BODY], encoding, model, is_predict)


def _write_predict(outputs: Arrays, is_by_row: bool) -> str:
    answer = {"predictions": arrays_to_rows(outputs)} if is_by_row else {"outputs": arrays_to_columns(outputs)}
    return json.dumps(answer)


def _json_response(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/json")


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
    except ConnectionError:  # the client has gone away
        return _error_response("The client went away.", HTTP_STATUS["CANCELLED"])
    except Exception as error:
        logger.exception("REST request failed: %s %s", request.method, request.path)
        return _error_response(internal_error(error).message, 500)


def _error_response(message: str, status: int) -> web.Response:
    return web.json_response({"error": message}, status=status)


def _wanted(request: web.Request) -> tuple[str, int | None, str]:
    """Name, version and label of the model that a request asks for."""
    version = request.match_info.get("version")
    return request.match_info["name"], None if version is None else int(version), request.match_info.get("label", "")


def _message_to_json(message: Any) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
