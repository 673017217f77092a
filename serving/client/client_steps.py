"""The steps of a client's call, for both protocols, blocking and asyncio."""

import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from tfmtl.schema.checks import check_positive_number
from tfmtl.serving.client.connection import Connection
from tfmtl.serving.client.feature_columns import Features
from tfmtl.serving.client.request_arrays import Arrays, predict_arrays, rank_arrays
from tfmtl.serving.client.retries import Retries
from tfmtl.serving.client.steps import Exchange, Steps, Wait
from tfmtl.serving.client.wire_format import WireFormat
from tfmtl.serving.protocol.model_metadata import ModelMetadata
from tfmtl.serving.protocol.signature import Signature
from tfmtl.serving.protocol.version_status import VersionStatus
from tfmtl.serving.serving_error import ServingError

RANK = "rank"

# Whatever version answers, or would answer, has no part in these.
_NOT_THE_MODELS = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "UNAUTHENTICATED", "PERMISSION_DENIED")


class ClientSteps:
    """Makes the steps of calls; `steps.run_steps` carries them out.

    A request is checked against the signatures that the server declares, fetched once for each version. What fails the
    check, or is refused by the server, may be right for a version that came meanwhile: then they are fetched again,
    and if they have changed the request is made and sent anew.

    Args:
        wire: WireFormat.
        connection: Connection.
        retries: Retries.
        timeout: float. Seconds for a whole call, unless the call itself sets it.
        clock: returns seconds. Defaults to `time.monotonic`.
        ignore_extra: bool. Whether features that the model does not know are left out, not refused. Defaults to
            `False`.

    Raises:
        ValueError: if `timeout` is not positive.
    """

    def __init__(
        self,
        wire: WireFormat,
        connection: Connection,
        retries: Retries,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
        ignore_extra: bool = False,
    ) -> None:
        self._wire = wire
        self._connection = connection
        self._retries = retries
        self._random = random.Random(retries.seed)
        self._clock = clock
        self._ignore_extra = ignore_extra
        self._metadata: dict[int | None, ModelMetadata] = {}
        self._timeout = self._checked_timeout(timeout)

    def predict(
        self, features: Features, signature_name: str, version: int | None, timeout: float | None
    ) -> Steps[Arrays]:
        """The steps to the outputs for a batch."""
        return self._ask(
            lambda signature: predict_arrays(features, signature, self._ignore_extra), signature_name, version, timeout
        )

    def rank(
        self, user: Mapping[str, Any], candidates: Features, version: int | None, timeout: float | None
    ) -> Steps[Arrays]:
        """The steps to the outputs for one user's candidates."""
        return self._ask(
            lambda signature: rank_arrays(user, candidates, signature, self._ignore_extra), RANK, version, timeout
        )

    def status(self, version: int | None, timeout: float | None) -> Steps[list[VersionStatus]]:
        """The steps to the versions' states."""
        answer = yield from self._exchange(self._wire.status_request(version), self._deadline(timeout))
        return self._wire.read_status(answer)

    def metadata(self, version: int | None, timeout: float | None) -> Steps[ModelMetadata]:
        """The steps to the signatures, as the server has them now."""
        return (yield from self._fetch_metadata(version, self._deadline(timeout)))

    def _ask(
        self, make: Callable[[Signature], Arrays], signature_name: str, version: int | None, timeout: float | None
    ) -> Steps[Arrays]:
        deadline = self._deadline(timeout)
        before = self._metadata.get(version)
        try:
            return (yield from self._ask_once(make, signature_name, version, deadline))
        except ServingError as error:
            if before is None or error.code in _NOT_THE_MODELS:
                raise
            now = yield from self._fetch_metadata(version, deadline)
            if now.signatures == before.signatures:
                raise
        return (yield from self._ask_once(make, signature_name, version, deadline))

    def _ask_once(
        self, make: Callable[[Signature], Arrays], signature_name: str, version: int | None, deadline: "_Deadline"
    ) -> Steps[Arrays]:
        metadata = self._metadata.get(version)
        if metadata is None:
            metadata = yield from self._fetch_metadata(version, deadline)
        signature = metadata.signatures.get(signature_name)
        if signature is None:
            raise ServingError(
                "FAILED_PRECONDITION",
                f"{self._connection.owner}: version {metadata.version} has no signature {signature_name!r}. "
                f"Known signatures: {sorted(metadata.signatures)}.",
            )
        request = self._wire.predict_request(make(signature), signature_name, version)
        answer = yield from self._exchange(request, deadline)
        return self._wire.read_outputs(answer, signature)

    def _fetch_metadata(self, version: int | None, deadline: "_Deadline") -> Steps[ModelMetadata]:
        answer = yield from self._exchange(self._wire.metadata_request(version), deadline)
        metadata = self._wire.read_metadata(answer)
        self._metadata[version] = metadata
        return metadata

    def _exchange(self, request: Any, deadline: "_Deadline") -> Steps[Any]:
        try:
            for wait in self._retries.waits(self._random):
                try:
                    return (yield Exchange(request, deadline.left()))
                except ServingError as error:
                    if error.code != "UNAVAILABLE" or wait >= deadline.left():
                        raise
                yield Wait(wait)
            return (yield Exchange(request, deadline.left()))
        except TimeoutError as error:
            connection = self._connection
            message = f"{connection.owner}: {connection.address} did not answer within {deadline.seconds:g} s."
            raise ServingError("DEADLINE_EXCEEDED", message) from error

    def _deadline(self, timeout: float | None) -> "_Deadline":
        return _Deadline(self._timeout if timeout is None else self._checked_timeout(timeout), self._clock)

    def _checked_timeout(self, timeout: float) -> float:
        check_positive_number(self._connection.owner, "timeout", timeout, "Give it in seconds.")
        return timeout


class _Deadline:
    """The end of a call, all its exchanges and waits included."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    def left(self) -> float:
        """Returns the seconds left; raises `TimeoutError` where there are none."""
        left = self._end - self._clock()
        if left <= 0.0:
            raise TimeoutError
        return left
