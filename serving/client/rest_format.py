"""TF Serving's REST requests for one model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

import numpy.typing as npt

from tfmtl.serving.client.connection import Connection
from tfmtl.serving.protocol.model_metadata import ModelMetadata
from tfmtl.serving.protocol.signature import LOADER_SIGNATURE, Signature, TensorSpec
from tfmtl.serving.protocol.tensor_json import bytes_to_base64, json_to_array, strings_to_json
from tfmtl.serving.protocol.version_status import VersionStatus
from tfmtl.serving.serving_error import HTTP_CODES, ServingError

# The DataType names that are not just DT_ and the dtype's name.
_DTYPES = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16"}


@dataclass(frozen=True)
class HttpCall:
    """A method, the path below the server, and the JSON body, if any."""

    method: str
    path: str
    body: str | None = None


def server_url(connection: Connection) -> SplitResult:
    """Returns the URL below which the server's `/v1` is found.

    Raises:
        ValueError: if the address is a URL that is neither http nor https, names no host, or is http with TLS.
    """
    scheme = "https" if connection.uses_tls else "http"
    address = connection.address
    url = urlsplit(address if "://" in address else f"{scheme}://{address}")
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError(
            f"{connection.owner}: `address` must be 'host:port' or an http or https URL. "
            f"Received: address={address!r}. The local server prints its own at the start."
        )
    if url.scheme == "http" and connection.uses_tls:
        raise ValueError(
            f"{connection.owner}: `address` must be an https URL for TLS. Received: address={address!r}. "
            "Leave the scheme out, or TLS."
        )
    return url


def read_answer(status: int, text: bytes, connection: Connection) -> dict[str, Any]:
    """Returns the JSON object of an answer.

    Raises:
        ServingError: with the server's message and the code its HTTP status stands for.
    """
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if isinstance(answer, dict) and status == 200:
        return answer
    code = HTTP_CODES.get(status, "UNKNOWN")
    if isinstance(answer, dict):
        raise ServingError(code, str(answer.get("error", answer)))
    if code == "UNAVAILABLE":  # a gateway's own page
        raise ServingError(code, connection.no_server(f"HTTP {status}"))
    message = f"{connection.owner}: {connection.address} is no model server: HTTP {status} and no JSON object."
    raise ServingError("UNKNOWN", message)


class RestFormat:
    """Implements `WireFormat`; a request is an `HttpCall`, an answer the JSON object.

    JSON carries neither dtypes nor the name of a lone output: both come from the signature.

    Args:
        model_name: str. The name the model is served under.
        path: str. Of the server's URL, before `/v1`.
    """

    def __init__(self, model_name: str, path: str) -> None:
        self._model_path = f"{path.rstrip('/')}/v1/models/{quote(model_name, safe='')}"

    def predict_request(
        self, arrays: Mapping[str, npt.NDArray[Any]], signature_name: str, version: int | None
    ) -> HttpCall:
        """Returns a predict request in the column form."""
        inputs = {name: _array_to_json(array) for name, array in arrays.items()}
        body = json.dumps({"signature_name": signature_name, "inputs": inputs})
        return HttpCall("POST", f"{self._path(version)}:predict", body)

    def read_outputs(self, answer: Any, signature: Signature) -> dict[str, npt.NDArray[Any]]:
        """Returns the outputs in the signature's dtypes."""
        outputs, specs = answer["outputs"], signature.outputs
        if len(specs) == 1 and not (isinstance(outputs, dict) and set(outputs) == set(specs)):
            outputs = dict.fromkeys(specs, outputs)
        if not isinstance(outputs, dict) or set(outputs) != set(specs):
            received = sorted(outputs) if isinstance(outputs, dict) else "one without a name"
            raise ServingError(
                "FAILED_PRECONDITION",
                f"Signature {signature.name!r}: the server must answer with {sorted(specs)}. Received: {received}.",
            )
        return {name: json_to_array(name, outputs[name], spec) for name, spec in specs.items()}

    def metadata_request(self, version: int | None) -> HttpCall:
        """Returns a metadata request."""
        return HttpCall("GET", f"{self._path(version)}/metadata")

    def read_metadata(self, answer: Any) -> ModelMetadata:
        """Returns the signatures."""
        definitions = answer["metadata"]["signature_def"]["signature_def"]
        signatures = {
            name: Signature(name, _tensor_specs(definition["inputs"]), _tensor_specs(definition["outputs"]))
            for name, definition in definitions.items()
            if name != LOADER_SIGNATURE
        }
        return ModelMetadata(int(answer["model_spec"]["version"]), signatures)

    def status_request(self, version: int | None) -> HttpCall:
        """Returns a status request."""
        return HttpCall("GET", self._path(version))

    def read_status(self, answer: Any) -> list[VersionStatus]:
        """Returns the versions' states."""
        return [
            VersionStatus(int(each["version"]), each["state"], **each["status"])
            for each in answer["model_version_status"]
        ]

    def _path(self, version: int | None) -> str:
        return self._model_path if version is None else f"{self._model_path}/versions/{version}"


def _array_to_json(array: npt.NDArray[Any]) -> Any:
    return strings_to_json(array, _bytes_to_json) if array.dtype == object else array.tolist()


def _bytes_to_json(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return bytes_to_base64(value)


def _tensor_specs(infos: Mapping[str, Any]) -> dict[str, TensorSpec]:
    return {name: _tensor_spec(info) for name, info in sorted(infos.items())}


def _tensor_spec(info: Mapping[str, Any]) -> TensorSpec:
    dtype = _DTYPES.get(info["dtype"], info["dtype"].removeprefix("DT_").lower())
    shape = info["tensor_shape"]
    if shape["unknown_rank"]:
        return TensorSpec(dtype, None)
    sizes = (int(dim["size"]) for dim in shape["dim"])
    return TensorSpec(dtype, tuple(None if size < 0 else size for size in sizes))
