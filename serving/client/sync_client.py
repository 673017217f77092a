"""The blocking calls of clients."""

from collections.abc import Mapping
from typing import Any, Self

import numpy.typing as npt

from tfmtl.serving.client.base_client import BaseClient
from tfmtl.serving.client.feature_columns import Features
from tfmtl.serving.client.steps import run_steps
from tfmtl.serving.protocol.model_metadata import ModelMetadata
from tfmtl.serving.protocol.version_status import VersionStatus


class SyncClient(BaseClient):
    """The calls of `GrpcClient` and `RestClient`. Any number of threads may use one client."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection, if one is kept."""
        self._transport.close()

    def predict(
        self,
        features: Features,
        *,
        signature_name: str = "serving_default",
        version: int | None = None,
        timeout: float | None = None,
    ) -> dict[str, npt.NDArray[Any]]:
        """Returns the model's outputs for a batch.

        Args:
            features: raw features: a list of dicts, a dict of columns (lists or arrays), a pandas DataFrame, or a
                pyarrow Table or RecordBatch. They are checked against the model's signature before they are sent;
                numbers get its dtypes, and shorter lists of a feature are filled up.
            signature_name: str. Defaults to `"serving_default"`.
            version: int or None. Defaults to None, the newest.
            timeout: float or None. Seconds for the whole call, retries included. Defaults to None, the client's.

        Returns:
            Mapping of output name to array; string outputs are object arrays of `bytes`.

        Raises:
            FeatureError: a feature is missing, unknown or not what the model takes; tells feature and row.
            ServingError: with the server's code and message; `UNAVAILABLE` if no server answers,
                `DEADLINE_EXCEEDED` if it does not answer in time.
            TypeError: if `features` is none of these.
        """
        return run_steps(self._steps.predict(features, signature_name, version, timeout), self._transport.send)

    def rank(
        self,
        user: Mapping[str, Any],
        candidates: Features,
        *,
        version: int | None = None,
        timeout: float | None = None,
    ) -> dict[str, npt.NDArray[Any]]:
        """Returns the outputs for one user's candidates, in their order, by the signature `rank`.

        Args:
            user: feature -> value, or list of values, of all that the candidates share.
            candidates: the features of side `item`, in any form that `predict` takes, one row per candidate.
            version: int or None. Defaults to None, the newest.
            timeout: float or None. Seconds for the whole call, retries included. Defaults to None, the client's.

        Returns:
            Mapping of output name to array `(N,)`.

        Raises:
            FeatureError, ServingError, TypeError: as `predict`; `FAILED_PRECONDITION` if the model has no such
                signature.
        """
        return run_steps(self._steps.rank(user, candidates, version, timeout), self._transport.send)

    def status(self, version: int | None = None, *, timeout: float | None = None) -> list[VersionStatus]:
        """Returns the state of every version, newest first, or of the given one.

        Raises:
            ServingError: as `predict`; `NOT_FOUND` for an unknown model or version.
        """
        return run_steps(self._steps.status(version, timeout), self._transport.send)

    def metadata(self, version: int | None = None, *, timeout: float | None = None) -> ModelMetadata:
        """Returns the signatures of the newest version, or of the given one.

        Raises:
            ServingError: as `predict`; `NOT_FOUND` for an unknown model or version.
        """
        return run_steps(self._steps.metadata(version, timeout), self._transport.send)
