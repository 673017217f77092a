"""A client for TF Serving's REST API that does not load TensorFlow."""

import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlsplit

import numpy.typing as npt

from serving.feature_arrays import make_feature_arrays
from serving.model_metadata import ModelMetadata
from serving.serving_error import HTTP_STATUS, ServingError
from serving.signature import LOADER_SIGNATURE, Signature, TensorSpec
from serving.tensor_json import bytes_to_base64, json_to_array, strings_to_json
from serving.version_status import VersionStatus

# Several codes share one status; the first in the table is the likeliest.
_CODES = {status: code for code, status in reversed(HTTP_STATUS.items())}
_CODES |= {408: "DEADLINE_EXCEEDED", 413: "RESOURCE_EXHAUSTED"}

# The DataType names that are not just DT_ and the dtype's name.
_DTYPES = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16"}


class RestClient:
    """Asks a model server for predictions over REST: TF Serving, or `LocalServer`.

    Every call opens its own connection, directly and through no proxy, so one client may be used by any number
    of threads. It answers the same arrays as `GrpcClient`: JSON carries neither dtypes nor the name of a lone
    output, so the client reads them from the server's metadata, once a signature and again if the outputs change their
    names.

    Example:

        RestClient("127.0.0.1:8501", "census").predict({"age": [39.0], "workclass": ["State-gov"]})

    Args:
        address: str. `"host:port"`, or a URL, such as `"https://models.example.org/ranking"`, below which the
            server's `/v1` is found.
        model_name: str. The name the model is served under.

    Raises:
        ValueError: if `address` is a URL that is neither http nor https, or names no host.
    """

    def __init__(self, address: str, model_name: str) -> None:
        url = urlsplit(address if "://" in address else f"http://{address}")
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(
                "RestClient: `address` must be 'host:port' or an http or https URL. "
                f"Received: address={address!r}. The local server prints its own at the start."
            )
        self._address = address
        self._connection_class = HTTPSConnection if url.scheme == "https" else HTTPConnection
        self._host_and_port = url.netloc
        self._model_path = f"{url.path.rstrip('/')}/v1/models/{quote(model_name, safe='')}"
        self._output_specs: dict[tuple[str, int | None], Mapping[str, TensorSpec]] = {}

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
            features: mapping of every input's name to an array or nested lists; the first dimension is the
                batch.
            signature_name: str. Defaults to `"serving_default"`.
            version: int or None. Defaults to None, the newest.
            timeout: float. Seconds to wait for the connection and for each part of the answer. Defaults to
                `5.0`.

        Returns:
            Mapping of output name to array; string outputs are object arrays of `bytes`.

        Raises:
            ValueError, TypeError: if a feature cannot be made an array.
            ServingError: with the server's message and the code its HTTP status stands for; `UNAVAILABLE` if
                no server answers, `DEADLINE_EXCEEDED` if it does not answer in time.
        """
        inputs = {name: _array_to_json(array) for name, array in make_feature_arrays(features).items()}
        body = json.dumps({"signature_name": signature_name, "inputs": inputs})
        answer = self._request("POST", _version_path(version) + ":predict", timeout, body)
        outputs = answer["outputs"]
        key = (signature_name, version)
        if not _describes(self._output_specs.get(key, {}), outputs):
            self._output_specs[key] = self.metadata(version, timeout=timeout).signatures[signature_name].outputs
        specs = self._output_specs[key]
        if len(specs) == 1:
            outputs = dict.fromkeys(specs, outputs)
        return {name: json_to_array(name, outputs[name], spec) for name, spec in specs.items()}

    def status(self, version: int | None = None, *, timeout: float = 5.0) -> list[VersionStatus]:
        """Returns the state of every version, newest first, or of the given one.

        Raises:
            ServingError: as `predict`; `NOT_FOUND` for an unknown model or version.
        """
        answer = self._request("GET", _version_path(version), timeout)
        return [
            VersionStatus(int(each["version"]), each["state"], **each["status"])
            for each in answer["model_version_status"]
        ]

    def metadata(self, version: int | None = None, *, timeout: float = 5.0) -> ModelMetadata:
        """Returns the signatures of the newest version, or of the given one.

        Raises:
            ServingError: as `predict`; `NOT_FOUND` for an unknown model or version.
        """
        answer = self._request("GET", _version_path(version) + "/metadata", timeout)
        definitions = answer["metadata"]["signature_def"]["signature_def"]
        signatures = {
            name: Signature(name, _tensor_specs(definition["inputs"]), _tensor_specs(definition["outputs"]))
            for name, definition in definitions.items()
            if name != LOADER_SIGNATURE
        }
        return ModelMetadata(int(answer["model_spec"]["version"]), signatures)

    def _request(self, method: str, path: str, timeout: float, body: str | None = None) -> dict[str, Any]:
        connection = self._connection_class(self._host_and_port, timeout=timeout)
        try:
            connection.request(method, self._model_path + path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
        except TimeoutError as error:
            message = f"RestClient: {self._address} did not answer within {timeout} s."
            raise ServingError("DEADLINE_EXCEEDED", message) from error
        except (OSError, HTTPException) as error:
            message = f"RestClient: no server answers at {self._address}. {error}"
            raise ServingError("UNAVAILABLE", message) from error
        finally:
            connection.close()
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            message = f"RestClient: {self._address} is no model server: HTTP {response.status} and no JSON object."
            raise ServingError("UNKNOWN", message)
        if response.status != 200:
            raise ServingError(_CODES.get(response.status, "UNKNOWN"), str(answer.get("error", answer)))
        return answer


def _version_path(version: int | None) -> str:
    return "" if version is None else f"/versions/{version}"


def _describes(specs: Mapping[str, TensorSpec], outputs: Any) -> bool:
    """Whether an answer can come from outputs of these names; a lone output comes without its name."""
    return set(specs) == set(outputs) if isinstance(outputs, dict) else len(specs) == 1


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
