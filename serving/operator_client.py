"""A client for operator networks, which warns outside of the training range."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tfmtl.schema.checks import error_text
from tfmtl.schema.training_range import TrainingRange
from tfmtl.serving.client.sync_client import SyncClient
from tfmtl.serving.protocol.feature_error import FeatureError
from tfmtl.serving.serving_error import ServingError

_RANGE = "training_range"


class OperatorClient:
    """Sends requests to an exported operator network, through a gRPC or REST client.

    It asks the server once for the range of the coefficients in training, and warns (`UserWarning`) where a request
    is outside of it; the request is answered nevertheless.

    Example:

        OperatorClient(RestClient("127.0.0.1:8501", "fisher")).predict(
            {"coefficients": [[1.0, -1.0, 0.0, 0.0]], "initial": [u0], "points": [[[0.5, 0.25]]]}
        )

    Args:
        client: `RestClient` or `GrpcClient`.
    """

    def __init__(self, client: SyncClient) -> None:
        self._client = client
        self._range: TrainingRange | None = None

    def predict(self, inputs: Mapping[str, Any], *, signature_name: str = "serving_default") -> dict[str, Any]:
        """The model's outputs.

        Args:
            inputs: name -> array, as the export's `signature.md` says.
            signature_name: str. Defaults to `"serving_default"`.

        Raises:
            FeatureError: an input is missing, unknown, of another shape or not finite, or the mask has not a value for
                each point.
            ServingError: with the server's code and message.
        """
        self._check(inputs)
        known = self.training_range()
        known.warn(
            type(self).__name__, {name: np.asarray(inputs[name]).tolist() for name in known.ranges if name in inputs}
        )
        outputs: dict[str, npt.NDArray[Any]] = self._client.predict(dict(inputs), signature_name=signature_name)
        return outputs

    def _check(self, inputs: Mapping[str, Any]) -> None:
        """Refuses what the graph would answer with NaN, or with a message about its own operations."""
        owner = type(self).__name__
        for name, values in inputs.items():
            array = np.asarray(values)
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                row = int(np.argwhere(~np.isfinite(array))[0][0])
                rule, advice = "be finite", "Fill the gap, or leave that row out."
                raise FeatureError(error_text(owner, name, rule, f"NaN or infinity in row {row}", advice), name, row)
        if "mask" in inputs and "points" in inputs:
            mask, points = np.shape(inputs["mask"]), np.shape(inputs["points"])
            if len(points) == 3 and (len(mask) != 2 or mask[1] != points[1]):
                rule = f"be (B, {points[1]}), one value per point"
                advice = "Take the mask at the points that are asked."
                raise FeatureError(error_text(owner, "mask.shape", rule, mask, advice), "mask")

    def training_range(self) -> TrainingRange:
        """The range of the coefficients in training; empty for a model without coefficients."""
        if self._range is None:
            self._range = TrainingRange(self._asked())
        return self._range

    def _asked(self) -> dict[str, tuple[list[float], list[float]]]:
        try:
            ends = self._client.predict({"rows": [0]}, signature_name=_RANGE)
        except ServingError as error:
            if error.code != "FAILED_PRECONDITION":
                raise
            return {}
        names = [name.removesuffix("_low") for name in ends if name.endswith("_low")]
        return {name: (ends[f"{name}_low"][0].tolist(), ends[f"{name}_high"][0].tolist()) for name in names}
