"""TF Serving's gRPC API over the models of a server."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from typing import Any

import grpc
import numpy.typing as npt
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving.protocol.signature import TensorSpec
from serving.protocol.tensor_proto import array_to_tensor, tensor_to_array
from serving.protocol.version_status import VERSION_STATES
from serving.server.beside_loop import beside_loop
from serving.server.example_inference import (
    CLASSIFY,
    REGRESS,
    check_method,
    classification_result,
    read_examples,
    regression_result,
    wanted_outputs,
)
from serving.server.limits import Limits
from serving.server.model_config import model_configs
from serving.server.model_manager import ModelManager
from serving.server.request_batcher import RequestBatcher
from serving.server.request_log import RequestLog
from serving.server.served_model import DEFAULT_SIGNATURE, ServedModel
from serving.server.server_metrics import ServerMetrics
from serving.serving_error import STATUS_CODES, ServingError, invalid_argument, quote

logger = logging.getLogger(__name__)

_SIGNATURE_FIELD = "signature_def"


class GrpcService(prediction_service_pb2_grpc.PredictionServiceServicer, model_service_pb2_grpc.ModelServiceServicer):
    """Answers all methods of both services as TF Serving does, but for SessionRun, which is `UNIMPLEMENTED`.

    Args:
        models: ModelManager. The loaded versions.
        batcher: RequestBatcher. Calls the models.
        metrics: ServerMetrics. Told of every request.
        loader: Executor. The one thread that loads models, for HandleReloadConfigRequest.
        pool: Executor. Where large messages are read and written.
        limits: Limits. Rows and memory of a request. Defaults to `Limits()`.
        request_log: RequestLog or None. Gets every answered Predict request. Defaults to None.
    """

    def __init__(
        self,
        models: ModelManager,
        batcher: RequestBatcher,
        metrics: ServerMetrics,
        loader: Executor,
        pool: Executor,
        limits: Limits | None = None,
        request_log: RequestLog | None = None,
    ) -> None:
        self._models = models
        self._batcher = batcher
        self._metrics = metrics
        self._loader = loader
        self._pool = pool
        self._limits = limits or Limits()
        self._request_log = request_log

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers both services with a server."""
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(self, server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(self, server)

    # The method names and arguments below are those of the generated service classes.

    async def Predict(self, request: Any, context: Any) -> Any:
        return await self._answer("Predict", self._predict, request, context)

    async def Classify(self, request: Any, context: Any) -> Any:
        return await self._answer("Classify", self._classify, request, context)

    async def Regress(self, request: Any, context: Any) -> Any:
        return await self._answer("Regress", self._regress, request, context)

    async def MultiInference(self, request: Any, context: Any) -> Any:
        return await self._answer("MultiInference", self._multi_inference, request, context)

    async def GetModelMetadata(self, request: Any, context: Any) -> Any:
        return await self._answer("GetModelMetadata", self._get_model_metadata, request, context)

    async def GetModelStatus(self, request: Any, context: Any) -> Any:
        return await self._answer("GetModelStatus", self._get_model_status, request, context)

    async def HandleReloadConfigRequest(self, request: Any, context: Any) -> Any:
        return await self._answer("HandleReloadConfigRequest", self._reload_config, request, context)

    async def _answer(
        self, name: str, method: Callable[[Any, float | None], Awaitable[Any]], request: Any, context: Any
    ) -> Any:
        started = time.monotonic()
        code, message = "CANCELLED", ""  # unless it ends otherwise
        try:
            remaining = context.time_remaining()
            answer = await method(request, None if remaining is None else started + remaining)
            code = "OK"
            return answer
        except ServingError as error:
            code, message = error.code, error.message
        except Exception as error:
            logger.exception("gRPC request failed.")
            code, message = "INTERNAL", f"Internal error: {type(error).__name__}: {error}"
        finally:
            model = _model_name(request)
            self._metrics.observe_request(
                "grpc", name, model if self._models.is_known(model) else "", code, time.monotonic() - started
            )
        return await context.abort(grpc.StatusCode[code], message)

    async def _predict(self, request: Any, deadline: float | None) -> Any:
        model = self._model(request)
        signature_name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = model.signature(signature_name)
        signature.check_input_names(request.inputs)
        self._limits.check_tensors(
            signature, {key: TensorSpec.from_tensor_info(tensor) for key, tensor in request.inputs.items()}
        )
        inputs = await beside_loop(self._pool, request.ByteSize(), _read_inputs, request, signature_name)
        outputs = await self._batcher.predict(model, signature_name, inputs, request.output_filter, deadline)
        response = predict_pb2.PredictResponse()
        _fill_model_spec(response.model_spec, request.model_spec, model)
        size = sum(array.nbytes for array in outputs.values())
        await beside_loop(self._pool, size, _write_outputs, outputs, response)
        if self._request_log is not None:
            self._request_log.offer(request.model_spec.name, model.version, signature_name, inputs, outputs)
        return response

    async def _classify(self, request: Any, deadline: float | None) -> Any:
        response = classification_pb2.ClassificationResponse()
        await self._infer(CLASSIFY, request, request.input, response, deadline)
        return response

    async def _regress(self, request: Any, deadline: float | None) -> Any:
        response = regression_pb2.RegressionResponse()
        await self._infer(REGRESS, request, request.input, response, deadline)
        return response

    async def _multi_inference(self, request: Any, deadline: float | None) -> Any:
        if not request.tasks:
            raise invalid_argument("MultiInferenceRequest must have at least one task.")
        response = inference_pb2.MultiInferenceResponse()
        for task in request.tasks:
            if task.method_name not in (CLASSIFY, REGRESS):
                raise invalid_argument(
                    f"A task's method_name must be {CLASSIFY!r} or {REGRESS!r}. Received: {quote(task.method_name)}."
                )
            if task.model_spec.name != request.tasks[0].model_spec.name:
                raise invalid_argument("All tasks of a MultiInferenceRequest must ask one model.")
        results = [response.results.add() for _ in request.tasks]
        await asyncio.gather(
            *(
                self._infer(task.method_name, task, request.input, result, deadline)
                for task, result in zip(request.tasks, results, strict=True)
            )
        )
        return response

    async def _infer(self, method: str, asked: Any, source: Any, response: Any, deadline: float | None) -> None:
        """Classifies or regresses into `response`, which has a `model_spec` and a result of the method's kind."""
        model = self._model(asked)
        signature = check_method(model, asked.model_spec.signature_name, method)
        examples = read_examples(source)
        self._limits.check_arrays(signature, {"inputs": examples})
        outputs = await self._batcher.predict(
            model, signature.name, {"inputs": examples}, wanted_outputs(signature, method), deadline
        )
        _fill_model_spec(response.model_spec, asked.model_spec, model)
        is_part = isinstance(response, inference_pb2.InferenceResult)
        if method == CLASSIFY:
            field = response.classification_result if is_part else response.result
            field.CopyFrom(classification_result(outputs, len(examples)))
        else:
            field = response.regression_result if is_part else response.result
            field.CopyFrom(regression_result(outputs, len(examples)))

    async def _get_model_metadata(self, request: Any, deadline: float | None) -> Any:
        if request.HasField("model_spec") and not request.metadata_field:
            raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field.")
        for field in request.metadata_field:
            if field != _SIGNATURE_FIELD:
                raise invalid_argument(f"Metadata field {quote(field)} is not supported. Use {_SIGNATURE_FIELD!r}.")
        model = self._model(request)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = model.version
        response.metadata[_SIGNATURE_FIELD].Pack(model.signature_def_map)
        return response

    async def _get_model_status(self, request: Any, deadline: float | None) -> Any:
        response = get_model_status_pb2.GetModelStatusResponse()
        for status in self._models.statuses(*_wanted(request)):
            response.model_version_status.add(
                version=status.version,
                state=VERSION_STATES[status.state],
                status={
                    "error_code": STATUS_CODES.index(status.error_code),
                    "error_message": status.error_message,
                },
            )
        return response

    async def _reload_config(self, request: Any, deadline: float | None) -> Any:
        configs = model_configs(request.config)
        await asyncio.get_running_loop().run_in_executor(self._loader, self._models.reload, configs)
        return model_management_pb2.ReloadConfigResponse(status={"error_code": 0})

    def _model(self, request: Any) -> ServedModel:
        return self._models.get(*_wanted(request))


def _read_inputs(request: Any, signature_name: str) -> dict[str, npt.NDArray[Any]]:
    inputs = {}
    for name, tensor in request.inputs.items():
        try:
            inputs[name] = tensor_to_array(tensor)
        except ValueError as error:
            raise invalid_argument(f"Signature {signature_name!r}: input {name!r}: {error}.") from error
    return inputs


def _write_outputs(outputs: Mapping[str, npt.NDArray[Any]], response: Any) -> None:
    for name, array in outputs.items():
        try:
            array_to_tensor(array, response.outputs[name])
        except ValueError as error:
            raise ServingError("UNIMPLEMENTED", f"Output {name!r}: {error}") from error


def _model_name(request: Any) -> str:
    if hasattr(request, "model_spec"):
        return str(request.model_spec.name)
    tasks = getattr(request, "tasks", ())  # of MultiInference
    return tasks[0].model_spec.name if tasks else ""


def _wanted(request: Any) -> tuple[str, int | None, str]:
    """Name, version and label of the model that a request asks for."""
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec.")
    model_spec = request.model_spec
    version = model_spec.version.value if model_spec.HasField("version") else None
    return model_spec.name, version, model_spec.version_label


def _fill_model_spec(answered: Any, asked: Any, model: ServedModel) -> None:
    answered.name = asked.name
    answered.version.value = model.version
    answered.signature_name = asked.signature_name or DEFAULT_SIGNATURE
