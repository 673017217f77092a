"""TF Serving's gRPC API over the models of a server."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy.typing as npt
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from tfmtl.serving.protocol.signature import DEFAULT_SIGNATURE, Signature, TensorSpec
from tfmtl.serving.protocol.tensor_proto import array_to_tensor, tensor_to_array
from tfmtl.serving.protocol.version_status import VERSION_STATES
from tfmtl.serving.server.batch_rows import Arrays
from tfmtl.serving.server.beside_loop import SMALL_BYTES, beside_loop
from tfmtl.serving.server.example_inference import (
    CLASSIFY,
    REGRESS,
    check_method,
    classification_result,
    read_examples,
    regression_result,
    wanted_outputs,
)
from tfmtl.serving.server.limits import Limits, too_large
from tfmtl.serving.server.message_size import is_small_when_parsed
from tfmtl.serving.server.model_config import model_configs
from tfmtl.serving.server.model_manager import ModelManager
from tfmtl.serving.server.queued_request import Outputs
from tfmtl.serving.server.request_batcher import RequestBatcher
from tfmtl.serving.server.request_log import RequestLog
from tfmtl.serving.server.served_model import ServedModel
from tfmtl.serving.server.server_metrics import ServerMetrics
from tfmtl.serving.server.unary_call import Method, UnaryCall
from tfmtl.serving.serving_error import STATUS_CODES, ServingError, internal_error, invalid_argument, quote

logger = logging.getLogger(__name__)

_SlowMethod: TypeAlias = Callable[[Any, float | None], Awaitable[Any]]

_SIGNATURE_FIELD = "signature_def"


class GrpcService:
    """Answers all methods of both services as TF Serving does, but for SessionRun, which is `UNIMPLEMENTED`.

    Args:
        models: ModelManager. The loaded versions.
        batcher: RequestBatcher. Calls the models.
        metrics: ServerMetrics. Told of every request.
        loader: Executor. The one thread that loads models, for HandleReloadConfigRequest.
        pool: Executor. Where large messages are read and written.
        limits: Limits. Rows and memory of a request. Defaults to `Limits()`.
        request_log: RequestLog or None. Gets every answered Predict request. Defaults to None.
        reload_roots: the folders below which HandleReloadConfigRequest may find models. Defaults to None, which
            refuses that method.
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
        reload_roots: Sequence[Path] | None = None,
    ) -> None:
        self._models = models
        self._batcher = batcher
        self._metrics = metrics
        self._loader = loader
        self._pool = pool
        self._limits = limits or Limits()
        self._request_log = request_log
        self._reload_roots = reload_roots

    def methods(self) -> dict[str, Method]:
        """Method path -> handler, of both services. To be called in the event loop of the slow ones."""
        loop = asyncio.get_running_loop()
        prediction, management = "/tensorflow.serving.PredictionService/", "/tensorflow.serving.ModelService/"
        slow = (
            (prediction, "Classify", classification_pb2.ClassificationRequest, self._classify),
            (prediction, "Regress", regression_pb2.RegressionRequest, self._regress),
            (prediction, "MultiInference", inference_pb2.MultiInferenceRequest, self._multi_inference),
            (prediction, "GetModelMetadata", get_model_metadata_pb2.GetModelMetadataRequest, self._get_model_metadata),
            (management, "GetModelStatus", get_model_status_pb2.GetModelStatusRequest, self._get_model_status),
            (management, "HandleReloadConfigRequest", model_management_pb2.ReloadConfigRequest, self._reload_config),
        )
        return {
            prediction + "Predict": self._predict,
            **{service + name: self._in_loop(loop, name, kind, method) for service, name, kind, method in slow},
        }

    # === Predict, which goes through no event loop ===

    def _predict(self, call: UnaryCall, message: bytes) -> None:
        if len(message) <= SMALL_BYTES:
            self._begin(call, message)
        else:
            self._pool.submit(self._begin, call, message)

    def _begin(self, call: UnaryCall, message: bytes) -> None:
        """Reads a request and has it computed."""
        answered = _Answered(self._metrics, self._models, "Predict", time.monotonic())
        call.watch(answered.count)
        try:
            request = self._parse(predict_pb2.PredictRequest, call, message)
            answered.model = request.model_spec.name
            model = self._model(request)
            signature_name = request.model_spec.signature_name or DEFAULT_SIGNATURE
            inputs = self._read_inputs(request, model.signature(signature_name))
            filters = request.output_filter

            def deliver(outputs: Outputs | Exception) -> Callable[[], None] | None:
                finish = partial(self._finish, call, answered, request, model, inputs, outputs)
                if isinstance(outputs, Exception) or sum(array.nbytes for array in outputs.values()) <= SMALL_BYTES:
                    return finish()
                self._pool.submit(lambda: finish()())
                return None

            queued = self._batcher.submit(model, signature_name, inputs, filters, call.deadline, deliver)
            call.watch(lambda was_answered: None if was_answered else queued.cancel())
        except Exception as error:
            _refuse(call, answered, error)

    def _finish(
        self,
        call: UnaryCall,
        answered: "_Answered",
        request: Any,
        model: ServedModel,
        inputs: Arrays,
        outputs: Outputs | Exception,
    ) -> Callable[[], None]:
        """Makes the answer, and returns what sends it."""
        try:
            if isinstance(outputs, Exception):
                raise outputs
            response = predict_pb2.PredictResponse()
            _fill_model_spec(response.model_spec, request.model_spec, model)
            _write_outputs(outputs, response)
            if self._request_log is not None:
                signature_name = request.model_spec.signature_name or DEFAULT_SIGNATURE
                self._request_log.offer(request.model_spec.name, model.version, signature_name, inputs, outputs)
            answered.code = "OK"
            return partial(call.answer, response.SerializeToString())
        except Exception as error:
            return partial(_refuse, call, answered, error)

    def _parse(self, kind: Any, call: UnaryCall, message: bytes) -> Any:
        if not is_small_when_parsed(message, kind.DESCRIPTOR, self._limits.max_message_bytes):
            raise too_large(
                f"The message of {call.method} must not exceed {self._limits.message_text} when it is parsed. "
                f"Received: {len(message)} bytes that stand for more. Split the request."
            )
        try:
            return kind.FromString(message)
        except DecodeError as error:
            raise invalid_argument(f"The message of {call.method} cannot be parsed: {str(error)[:500]}") from error

    def _read_inputs(self, request: Any, signature: Signature) -> dict[str, npt.NDArray[Any]]:
        tensors = request.inputs
        signature.check_input_names(tensors)
        specs = {name: TensorSpec.from_tensor_info(tensor) for name, tensor in tensors.items()}
        self._limits.check_tensors(signature, specs)
        inputs = {}
        for name, tensor in tensors.items():
            try:
                inputs[name] = tensor_to_array(tensor, specs[name].shape)
            except ValueError as error:
                raise invalid_argument(f"Signature {signature.name!r}: input {name!r}: {error}.") from error
        return inputs

    # === The other methods, in the event loop ===

    def _in_loop(self, loop: asyncio.AbstractEventLoop, name: str, kind: Any, method: _SlowMethod) -> Method:
        async def answer(call: UnaryCall, message: bytes) -> None:
            answered = _Answered(self._metrics, self._models, name, time.monotonic())
            call.watch(answered.count)
            try:
                request = await beside_loop(self._pool, len(message), self._parse, kind, call, message)
                answered.model = _model_name(request)
                response = await method(request, call.deadline)
                answered.code = "OK"
                call.answer(response.SerializeToString())
            except Exception as error:
                _refuse(call, answered, error)

        def begin(call: UnaryCall, message: bytes) -> None:
            future = asyncio.run_coroutine_threadsafe(answer(call, message), loop)
            call.watch(lambda was_answered: None if was_answered else future.cancel())

        return begin

    async def _classify(self, request: Any, deadline: float | None) -> Any:
        response = classification_pb2.ClassificationResponse()
        await self._infer(CLASSIFY, request, await self._examples(request), response, deadline)
        return response

    async def _regress(self, request: Any, deadline: float | None) -> Any:
        response = regression_pb2.RegressionResponse()
        await self._infer(REGRESS, request, await self._examples(request), response, deadline)
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
                raise invalid_argument("All tasks of a MultiInferenceRequest must name the same model.")
        # As TF Serving; each would compute all examples again.
        for name, count in Counter(task.model_spec.signature_name for task in request.tasks).items():
            if count > 1:
                raise invalid_argument(f"Duplicate evaluation of signature: {quote(name or DEFAULT_SIGNATURE)}.")
        examples = await self._examples(request)
        results = [response.results.add() for _ in request.tasks]
        await asyncio.gather(
            *(
                self._infer(task.method_name, task, examples, result, deadline)
                for task, result in zip(request.tasks, results, strict=True)
            )
        )
        return response

    async def _examples(self, request: Any) -> npt.NDArray[Any]:
        return await beside_loop(self._pool, request.ByteSize(), read_examples, request.input, self._limits)

    async def _infer(
        self, method: str, asked: Any, examples: npt.NDArray[Any], response: Any, deadline: float | None
    ) -> None:
        """Classifies or regresses into `response`, which has a `model_spec` and a result of the method's kind."""
        model = self._model(asked)
        signature = check_method(model, asked.model_spec.signature_name, method)
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
        if self._reload_roots is None:
            raise ServingError(
                "PERMISSION_DENIED",
                "This server does not change its models on request. Start it with "
                "--allow-reload or --reload-token-file.",
            )
        configs = model_configs(request.config, self._reload_roots)
        await asyncio.get_running_loop().run_in_executor(self._loader, self._models.reload, configs)
        return model_management_pb2.ReloadConfigResponse(status={"error_code": 0})

    def _model(self, request: Any) -> ServedModel:
        return self._models.get(*_wanted(request))


@dataclass(slots=True)
class _Answered:
    """What is counted of a request when it is over."""

    metrics: ServerMetrics
    models: ModelManager
    method: str
    started: float
    model: str = ""
    code: str = ""

    def count(self, was_answered: bool) -> None:
        model = self.model if self.models.is_known(self.model) else ""
        code = self.code if was_answered else "CANCELLED"
        self.metrics.observe_request("grpc", self.method, model, code, time.monotonic() - self.started)


def _refuse(call: UnaryCall, answered: _Answered, error: Exception) -> None:
    if not isinstance(error, ServingError):
        logger.error("gRPC request failed.", exc_info=error)
        error = internal_error(error)
    answered.code = error.code
    call.refuse(error.code, error.message)


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
