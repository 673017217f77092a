"""A client for TF Serving's gRPC API that does not load TensorFlow."""

from collections.abc import Mapping
from typing import Any

import grpc
import numpy.typing as npt

from serving.feature_arrays import cast_arrays, make_feature_arrays
from serving.messages import MESSAGES
from serving.model_metadata import ModelMetadata
from serving.serving_error import STATUS_CODES, ServingError
from serving.signature import LOADER_SIGNATURE, Signature, TensorSpec
from serving.tensor_proto import MAX_MESSAGE_BYTES, array_to_tensor, tensor_to_array
from serving.version_status import VERSION_STATES, VersionStatus

_STATE_NAMES = {number: name for name, number in VERSION_STATES.items()}
_CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # A model server is a neighbour; a proxy meant for the internet would only refuse it.
    ("grpc.enable_http_proxy", 0),
)


class GrpcClient:
    """Asks a model server for predictions over gRPC: TF Serving, or `LocalServer`.

    Thread-safe; one client holds one connection. Use it as a context manager, or call `close`. It reads the inputs'
    dtypes from the server's metadata, once a signature and again after a request that was refused.

    Example:

        with GrpcClient("127.0.0.1:8500", "census") as client:
            client.predict({"age": [39.0, 50.0], "workclass": ["State-gov", "Private"]})

    Args:
        address: str. `"host:port"`.
        model_name: str. The name the model is served under.
        credentials: grpc.ChannelCredentials or None. For a server behind TLS. Defaults to None, no TLS.
    """

    def __init__(self, address: str, model_name: str, credentials: grpc.ChannelCredentials | None = None) -> None:
        self._address = address
        self._model_name = model_name
        self._input_specs: dict[tuple[str, int | None], Mapping[str, TensorSpec]] = {}
        self._channel = (
            grpc.insecure_channel(address, _CHANNEL_OPTIONS)
            if credentials is None
            else grpc.secure_channel(address, credentials, _CHANNEL_OPTIONS)
        )
        self._predict = self._method("PredictionService/Predict", "PredictResponse")
        self._get_metadata = self._method("PredictionService/GetModelMetadata", "GetModelMetadataResponse")
        self._get_status = self._method("ModelService/GetModelStatus", "GetModelStatusResponse")

    def __enter__(self) -> "GrpcClient":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def predict(
        self,
        features: Mapping[str, Any],
        *,
        signature_name: str = "serving_default",
        version: int | None = None,
        timeout: float = 5.0,
    ) -> dict[str, npt.NDArray[Any]]:
        """Returns the model's outputs for a batch.

        Args:
            features: mapping of every input's name to an array or nested lists. Numbers are sent in the dtype that
                the model takes, if they fit it.
            signature_name: str. Defaults to `"serving_default"`.
            version: int or None. Defaults to None, the newest.
            timeout: float. Seconds that each exchange with the server may take. Defaults to `5.0`.

        Returns:
            Mapping of output name to array; string outputs are object arrays of `bytes`.

        Raises:
            ValueError, TypeError: if a feature cannot be made an array.
            ServingError: with the server's code and message; `UNAVAILABLE` if no server answers,
                `DEADLINE_EXCEEDED` if it does not answer in time.
        """
        arrays = make_feature_arrays(features)
        key = (signature_name, version)
        if key not in self._input_specs:
            signature = self.metadata(version, timeout=timeout).signatures.get(signature_name)
            self._input_specs[key] = signature.inputs if signature else {}
        request = MESSAGES["PredictRequest"](model_spec=self._model_spec(version, signature_name))
        for name, array in cast_arrays(arrays, self._input_specs[key]).items():
            array_to_tensor(array, request.inputs[name])
        try:
            response = self._call(self._predict, request, timeout)
        except ServingError:
            self._input_specs.pop(key, None)  # another version may have come with other inputs
            raise
        return {name: tensor_to_array(tensor) for name, tensor in response.outputs.items()}

    def status(self, version: int | None = None, *, timeout: float = 5.0) -> list[VersionStatus]:
        """Returns the state of every version, newest first, or of the given one.

        Raises:
            ServingError: as `predict`; `NOT_FOUND` for an unknown model or version.
        """
        request = MESSAGES["GetModelStatusRequest"](model_spec=self._model_spec(version))
        response = self._call(self._get_status, request, timeout)
        return [
            VersionStatus(
                version=each.version,
                state=_STATE_NAMES[each.state],
                error_code=STATUS_CODES[each.status.error_code],
                error_message=each.status.error_message,
            )
            for each in response.model_version_status
        ]

    def metadata(self, version: int | None = None, *, timeout: float = 5.0) -> ModelMetadata:
        """Returns the signatures of the newest version, or of the given one.

        Raises:
            ServingError: as `predict`; `NOT_FOUND` for an unknown model or version.
        """
        request = MESSAGES["GetModelMetadataRequest"](
            model_spec=self._model_spec(version), metadata_field=["signature_def"]
        )
        response = self._call(self._get_metadata, request, timeout)
        definitions = MESSAGES["SignatureDefMap"].FromString(response.metadata["signature_def"].value)
        signatures = {
            name: Signature.from_signature_def(name, definition)
            for name, definition in definitions.signature_def.items()
            if name != LOADER_SIGNATURE
        }
        return ModelMetadata(response.model_spec.version.value, signatures)

    def _method(self, name: str, response: str) -> Any:
        return self._channel.unary_unary(
            f"/tensorflow.serving.{name}",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=MESSAGES[response].FromString,
        )

    def _model_spec(self, version: int | None, signature_name: str = "") -> Any:
        model_spec = MESSAGES["ModelSpec"](name=self._model_name, signature_name=signature_name)
        if version is not None:
            model_spec.version.value = version
        return model_spec

    def _call(self, method: Any, request: Any, timeout: float) -> Any:
        try:
            return method(request, timeout=timeout)
        except grpc.RpcError as error:
            code, message = error.code().name, error.details()
            if code == "UNAVAILABLE":
                message = f"GrpcClient: no server answers at {self._address}. {message}"
            elif code == "DEADLINE_EXCEEDED":
                message = f"GrpcClient: {self._address} did not answer within {timeout} s."
            raise ServingError(code, message) from error
