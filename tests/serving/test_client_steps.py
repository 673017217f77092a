"""What a client does for a call, on a made-up server, clock and network."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tfmtl.serving.client.client_steps import ClientSteps
from tfmtl.serving.client.connection import Connection
from tfmtl.serving.client.retries import Retries
from tfmtl.serving.client.steps import run_steps
from tfmtl.serving.protocol.feature_error import FeatureError
from tfmtl.serving.protocol.model_metadata import ModelMetadata
from tfmtl.serving.protocol.signature import Signature, TensorSpec
from tfmtl.serving.serving_error import ServingError

DOWN = ServingError("UNAVAILABLE", "down")


class MadeUpServer:
    """Speaks in tuples; takes a second for each exchange, and the clock stands still meanwhile but for that."""

    def __init__(self, failures: list[Exception] | None = None, seconds: float = 1.0) -> None:
        self.now = 100.0
        self.failures = failures or []
        self.seconds = seconds
        self.dtype = "float32"
        self.sent: list[Any] = []
        self.timeouts: list[float] = []
        self.waited: list[float] = []

    def steps(self, timeout: float = 30.0, **retries: Any) -> ClientSteps:
        return ClientSteps(self, Connection("Client", "there:1"), Retries(**retries), timeout, lambda: self.now)  # type: ignore[arg-type]

    def run(self, steps: Any) -> Any:
        return run_steps(steps, self.send, self.sleep)

    def send(self, request: tuple[Any, ...], timeout: float) -> Any:
        self.sent.append(request[0])
        self.timeouts.append(timeout)
        self.now += min(self.seconds, timeout)
        if self.seconds > timeout:
            raise TimeoutError
        if self.failures:
            raise self.failures.pop(0)
        kind, *rest = request
        if kind == "predict" and rest[0]["x"].dtype != self.dtype:
            raise ServingError("INVALID_ARGUMENT", f"x must be {self.dtype}")
        return rest[0]["x"] if kind == "predict" else self.dtype

    def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.now += seconds

    # A wire format.

    def predict_request(self, arrays: Any, signature_name: str, version: int | None) -> Any:
        return "predict", arrays

    def read_outputs(self, answer: Any, signature: Signature) -> Any:
        return {"y": answer}

    def metadata_request(self, version: int | None) -> Any:
        return "metadata", version

    def read_metadata(self, answer: str) -> ModelMetadata:
        inputs = {"x": TensorSpec(answer, (None,))}
        return ModelMetadata(1, {"serving_default": Signature("serving_default", inputs, {})})

    def status_request(self, version: int | None) -> Any:
        return "status", version

    def read_status(self, answer: Any) -> Any:
        return []


def predict(server: MadeUpServer, steps: ClientSteps, values: Any = (1.0,), **options: Any) -> Any:
    arguments = {"signature_name": "serving_default", "version": None, "timeout": None, **options}
    return server.run(steps.predict({"x": list(values)}, **arguments))["y"].tolist()


def test_the_schema_is_fetched_once_a_version() -> None:
    server = MadeUpServer()
    steps = server.steps()
    for version in (None, None, 7, 7, None):
        assert predict(server, steps, version=version) == [1.0]
    assert server.sent == ["metadata", "predict", "predict", "metadata", "predict", "predict", "predict"]


def test_what_is_wrong_is_not_sent() -> None:
    server = MadeUpServer()
    steps = server.steps()
    for _ in range(2):  # the schema may be old only in the second call
        with pytest.raises(FeatureError, match="row 0: feature 'x' must be a number"):
            predict(server, steps, ["1"])
    assert server.sent == ["metadata", "metadata"]


@pytest.mark.parametrize("values", [[1], [2.5]])
def test_a_new_version_with_other_inputs_is_asked_in_its_own_way(values: list[Any]) -> None:
    """Both where the old schema refuses the request and where the new version does."""
    server = MadeUpServer()
    steps = server.steps()
    server.dtype = "float32" if isinstance(values[0], int) else "int64"
    assert predict(server, steps, [1]) == [1]
    server.dtype = "int64" if isinstance(values[0], int) else "float32"
    assert predict(server, steps, values) == values
    assert predict(server, steps, values) == values
    assert server.sent.count("metadata") == 2


def test_a_refusal_that_stands_is_raised_as_it_came() -> None:
    server = MadeUpServer()
    steps = server.steps()
    predict(server, steps)
    server.failures = [ServingError("INVALID_ARGUMENT", "no such index")]
    with pytest.raises(ServingError, match="no such index"):
        predict(server, steps)
    assert server.sent == ["metadata", "predict", "predict", "metadata"]


def test_unavailable_is_retried_with_growing_waits() -> None:
    server = MadeUpServer([DOWN] * 5)
    server.run(server.steps(attempts=6, first_wait=0.5, longest_wait=3.0, seed=4).status(None, None))
    assert server.sent == ["status"] * 6
    for wait, longest in zip(server.waited, [0.5, 1.0, 2.0, 3.0, 3.0], strict=True):
        assert 0.5 * longest <= wait <= longest


def test_the_seed_decides_the_waits() -> None:
    waits = []
    for seed in (1, 1, 2):
        server = MadeUpServer([DOWN] * 3)
        server.run(server.steps(seed=seed).status(None, None))
        waits.append(server.waited)
    assert waits[0] == waits[1] != waits[2]
    assert len({wait / 2**number for number, wait in enumerate(waits[0])}) == 3  # each is drawn anew


@pytest.mark.parametrize("code", ["INTERNAL", "RESOURCE_EXHAUSTED", "ABORTED", "UNAUTHENTICATED", "UNKNOWN"])
def test_nothing_else_is_retried(code: str) -> None:
    server = MadeUpServer([ServingError(code, "no")])
    with pytest.raises(ServingError, match=f"{code}: no"):
        server.run(server.steps().status(None, None))
    assert (server.sent, server.waited) == (["status"], [])


def test_the_last_try_raises_its_own_error() -> None:
    server = MadeUpServer([DOWN, DOWN, ServingError("UNAVAILABLE", "still down")])
    with pytest.raises(ServingError, match="still down"):
        server.run(server.steps(attempts=3).status(None, None))
    assert len(server.sent) == 3


def test_no_try_begins_after_the_deadline() -> None:
    """A second a try, and waits of up to two: after 3.5 seconds there is time for no other wait."""
    server = MadeUpServer([DOWN] * 99)
    with pytest.raises(ServingError, match="UNAVAILABLE: down"):
        server.run(server.steps(timeout=3.5, attempts=99, first_wait=1.0, seed=0).status(None, None))
    assert len(server.sent) == 2
    assert server.now <= 103.5


def test_one_deadline_for_the_schema_the_waits_and_the_request() -> None:
    server = MadeUpServer([DOWN])
    assert predict(server, server.steps(first_wait=0.0), timeout=10.0) == [1.0]
    assert server.sent == ["metadata", "metadata", "predict"]
    assert server.timeouts == pytest.approx([10.0, 9.0, 8.0])
    slow = MadeUpServer(seconds=2.0)
    with pytest.raises(ServingError, match="DEADLINE_EXCEEDED: Client: there:1 did not answer within 3 s"):
        predict(slow, slow.steps(timeout=3.0))
    assert slow.timeouts == pytest.approx([3.0, 1.0])


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan")])
def test_timeouts_are_checked(timeout: float) -> None:
    server = MadeUpServer()
    with pytest.raises(ValueError, match=r"Client: `timeout` must be a (positive|finite) number"):
        server.steps(timeout=timeout)
    with pytest.raises(ValueError, match=r"Client: `timeout` must be a (positive|finite) number"):
        predict(server, server.steps(), timeout=timeout)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Retries(attempts=0),
            "Retries: `attempts` must be a positive int. Received: attempts=0. Use 1 to never retry.",
        ),
        (lambda: Retries(first_wait=-1.0), "Retries: `first_wait` must be at least 0. Received: first_wait=-1.0."),
        (lambda: Retries(longest_wait=np.nan), "Retries: `longest_wait` must be a finite number."),
    ],
)
def test_retries_are_checked(make: Callable[[], Retries], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value).startswith(message)
