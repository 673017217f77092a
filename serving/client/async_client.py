"""The asyncio calls of clients."""

from collections.abc import Mapping
from typing import Any, Self

import numpy.typing as npt

from tfmtl.serving.client.base_client import BaseClient
from tfmtl.serving.client.feature_columns import Features
from tfmtl.serving.client.steps import run_steps_async
from tfmtl.serving.protocol.model_metadata import ModelMetadata
from tfmtl.serving.protocol.version_status import VersionStatus


class AsyncClient(BaseClient):
    """The calls of `AsyncGrpcClient` and `AsyncRestClient`: those of `SyncClient`, awaited.

    One client belongs to one event loop, where any number of tasks may use it. It connects with its first call.
    """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection."""
        await self._transport.close()

    async def predict(
        self,
        features: Features,
        *,
        signature_name: str = "serving_default",
        version: int | None = None,
        timeout: float | None = None,
    ) -> dict[str, npt.NDArray[Any]]:
        """As `SyncClient.predict`."""
        steps = self._steps.predict(features, signature_name, version, timeout)
        return await run_steps_async(steps, self._transport.send)

    async def rank(
        self,
        user: Mapping[str, Any],
        candidates: Features,
        *,
        version: int | None = None,
        timeout: float | None = None,
    ) -> dict[str, npt.NDArray[Any]]:
        """As `SyncClient.rank`."""
        return await run_steps_async(self._steps.rank(user, candidates, version, timeout), self._transport.send)

    async def status(self, version: int | None = None, *, timeout: float | None = None) -> list[VersionStatus]:
        """As `SyncClient.status`."""
        return await run_steps_async(self._steps.status(version, timeout), self._transport.send)

    async def metadata(self, version: int | None = None, *, timeout: float | None = None) -> ModelMetadata:
        """As `SyncClient.metadata`."""
        return await run_steps_async(self._steps.metadata(version, timeout), self._transport.send)
