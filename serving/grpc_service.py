"""TF Serving's gRPC API over a model registry."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.limits import Limits
from serving.model_registry import ModelRegistry
from serving.request_log import RequestLog
from serving.served_model import DEFAULT_SIGNATURE
from serving.serving_error import STATUS_CODES, ServingError, invalid_argument, quote
from serving.signature import TensorSpec
from serving.tensor_proto import array_to_tensor, tensor_to_array
from serving.version_status import VERSION_STATES

logger = logging.getLogger(__name__)

_SIGNATURE_FIELD = "signature_def"


class GrpcService(prediction_service_pb2_grpc.PredictionServiceServicer, model_service_pb2_grpc.ModelServiceServicer):
    """Answers Predict, GetModelMetadata and GetModelStatus as TF Serving does.

    The other methods of the two services answer `UNIMPLEMENTED`.

    Args:
        registry: ModelRegistry. The loaded versions.
        pool: ThreadPoolExecutor. Where tensors are converted and the model is called.
        limits: Limits. Rows and memory of a request. Defaults to `Limits()`.
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

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers both services with a server."""
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(self, server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(self, server)

    # The method names and arguments below are those of the generated service classes.

    async def Predict(self, request: Any, context: Any) -> Any:
        return await self._answer(self._predict, request, context)

    async def GetModelMetadata(self, request: Any, context: Any) -> Any:
        return await self._answer(self._get_model_metadata, request, context)

    async def GetModelStatus(self, request: Any, context: Any) -> Any:
        return await self._answer(self._get_model_status, request, context)

    async def _answer(self, method: Callable[[Any], Any], request: Any, context: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, method, request)
        except ServingError as error:
            code, message = error.code, error.message
        except Exception as error:
            logger.exception("gRPC request failed.")
            code, message = "INTERNAL", f"Internal error: {type(error).__name__}: {error}"
        return await context.abort(grpc.StatusCode[code], message)

    def _predict(self, request: Any) -> Any:
        name, version = _model_and_version(request)
        model = self._registry.get(name, version)
        signature_name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = model.signature(signature_name)
        signature.check_input_names(request.inputs)
        self._limits.check_tensors(
            signature, {key: TensorSpec.from_tensor_info(tensor) for key, tensor in request.inputs.items()}
        )
        inputs = {}
        for input_name, tensor in request.inputs.items():
            try:
                inputs[input_name] = tensor_to_array(tensor)
            except ValueError as error:
                raise invalid_argument(f"Signature {signature_name!r}: input {input_name!r}: {error}.") from error
        response = predict_pb2.PredictResponse()
        _fill_model_spec(response.model_spec, name, model.version)
        response.model_spec.signature_name = signature_name
        outputs = model.predict(signature_name, inputs, request.output_filter)
        for output_name, array in outputs.items():
            try:
                array_to_tensor(array, response.outputs[output_name])
            except ValueError as error:
                raise ServingError("UNIMPLEMENTED", f"Output {output_name!r}: {error}") from error
        if self._request_log is not None:
            self._request_log.offer(name, model.version, signature_name, inputs, outputs)
        return response

    def _get_model_metadata(self, request: Any) -> Any:
        name, version = _model_and_version(request)
        if not request.metadata_field:
            raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field.")
        for field in request.metadata_field:
            if field != _SIGNATURE_FIELD:
                raise invalid_argument(f"Metadata field {quote(field)} is not supported. Use {_SIGNATURE_FIELD!r}.")
        model = self._registry.get(name, version)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        _fill_model_spec(response.model_spec, name, model.version)
        response.metadata[_SIGNATURE_FIELD].Pack(model.signature_def_map)
        return response

    def _get_model_status(self, request: Any) -> Any:
        response = get_model_status_pb2.GetModelStatusResponse()
        for status in self._registry.statuses(*_model_and_version(request)):
            response.model_version_status.add(
                version=status.version,
                state=VERSION_STATES[status.state],
                status={
                    "error_code": STATUS_CODES.index(status.error_code),
                    "error_message": status.error_message,
                },
            )
        return response


def _model_and_version(request: Any) -> tuple[str, int | None]:
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec.")
    model_spec = request.model_spec
    if model_spec.version_label:
        raise invalid_argument(
            f"Version labels are not supported. Received: version_label={quote(model_spec.version_label)}. "
            "Give the version's number."
        )
    return model_spec.name, model_spec.version.value if model_spec.HasField("version") else None


def _fill_model_spec(model_spec: Any, name: str, version: int) -> None:
    model_spec.name = name
    model_spec.version.value = version
