"""TF Serving's gRPC messages for one model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from tfmtl.serving.protocol.messages import MESSAGES
from tfmtl.serving.protocol.model_metadata import ModelMetadata
from tfmtl.serving.protocol.signature import Signature, signatures_of
from tfmtl.serving.protocol.tensor_proto import array_to_tensor, tensor_to_array
from tfmtl.serving.protocol.version_status import VERSION_STATES, VersionStatus
from tfmtl.serving.serving_error import STATUS_CODES

_STATE_NAMES = {number: name for name, number in VERSION_STATES.items()}


@dataclass(frozen=True)
class GrpcCall:
    """A method, as `"PredictionService/Predict"`, the message it gets, and the name of the one it answers with."""

    method: str
    message: Any
    answer: str


class GrpcFormat:
    """Implements `WireFormat`; a request is a `GrpcCall`, an answer the message.

    Args:
        model_name: str. The name the model is served under.
    """

    def __init__(self, model_name: str) -> None:
        self._model_name = model_name

    def predict_request(
        self, arrays: Mapping[str, npt.NDArray[Any]], signature_name: str, version: int | None
    ) -> GrpcCall:
        """Returns a Predict call."""
        request = MESSAGES["PredictRequest"](model_spec=self._model_spec(version, signature_name))
        for name, array in arrays.items():
            array_to_tensor(array, request.inputs[name])
        return GrpcCall("PredictionService/Predict", request, "PredictResponse")

    def read_outputs(self, answer: Any, signature: Signature) -> dict[str, npt.NDArray[Any]]:
        """Returns the outputs, which name themselves."""
        return {name: tensor_to_array(tensor) for name, tensor in answer.outputs.items()}

    def metadata_request(self, version: int | None) -> GrpcCall:
        """Returns a GetModelMetadata call."""
        request = MESSAGES["GetModelMetadataRequest"](
            model_spec=self._model_spec(version), metadata_field=["signature_def"]
        )
        return GrpcCall("PredictionService/GetModelMetadata", request, "GetModelMetadataResponse")

    def read_metadata(self, answer: Any) -> ModelMetadata:
        """Returns the signatures."""
        signatures = signatures_of(answer.metadata["signature_def"].value)
        return ModelMetadata(answer.model_spec.version.value, signatures)

    def status_request(self, version: int | None) -> GrpcCall:
        """Returns a GetModelStatus call."""
        request = MESSAGES["GetModelStatusRequest"](model_spec=self._model_spec(version))
        return GrpcCall("ModelService/GetModelStatus", request, "GetModelStatusResponse")

    def read_status(self, answer: Any) -> list[VersionStatus]:
        """Returns the versions' states."""
        return [
            VersionStatus(
                version=each.version,
                state=_STATE_NAMES[each.state],
                error_code=STATUS_CODES[each.status.error_code],
                error_message=each.status.error_message,
            )
            for each in answer.model_version_status
        ]

    def _model_spec(self, version: int | None, signature_name: str = "") -> Any:
        model_spec = MESSAGES["ModelSpec"](name=self._model_name, signature_name=signature_name)
        if version is not None:
            model_spec.version.value = version
        return model_spec
