"""The interface of a protocol: writes requests and reads answers, but does not send them."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy.typing as npt

from tfmtl.serving.protocol.model_metadata import ModelMetadata
from tfmtl.serving.protocol.signature import Signature
from tfmtl.serving.protocol.version_status import VersionStatus


class WireFormat(Protocol):
    """Requests of one protocol for one model, and the answers to them. `version` None is the newest."""

    def predict_request(self, arrays: Mapping[str, npt.NDArray[Any]], signature_name: str, version: int | None) -> Any:
        """Returns the request that asks for a prediction."""

    def read_outputs(self, answer: Any, signature: Signature) -> dict[str, npt.NDArray[Any]]:
        """Returns the outputs; raises `ServingError` if they cannot be those of `signature`."""

    def metadata_request(self, version: int | None) -> Any:
        """Returns the request that asks for the signatures."""

    def read_metadata(self, answer: Any) -> ModelMetadata:
        """Returns the signatures."""

    def status_request(self, version: int | None) -> Any:
        """Returns the request that asks which versions there are."""

    def read_status(self, answer: Any) -> list[VersionStatus]:
        """Returns the versions' states."""
