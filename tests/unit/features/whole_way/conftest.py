"""A kind's problem goes the whole way: a test file gives `data`; here it is trained, exported, served and asked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import pytest

from tfmtl.data import PreparedData
from tfmtl.export import export
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.rest_client import RestClient
from tfmtl.training import TrainOptions, fit


@pytest.fixture(scope="module")
def options() -> TrainOptions:
    """How the model is trained; a test file may give its own."""
    return TrainOptions("mmoe", {"hidden_units": (8,), "tower_units": (4,)}, epochs=1, batch_size=128)


@pytest.fixture(scope="module")
def run(
    data: PreparedData, options: TrainOptions, tmp_path_factory: pytest.TempPathFactory
) -> tuple[keras.Model, Path]:
    """A trained model and its run folder."""
    folder = tmp_path_factory.mktemp("run")
    return fit(data, folder, options, verbose=0), folder


@pytest.fixture(scope="module")
def version(run: Any, data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its export; not to be written to."""
    return export(run[0], data, tmp_path_factory.mktemp("export") / "tiny")


@pytest.fixture(scope="module")
def served(version: Path) -> Iterator[LocalServer]:
    """A server of it."""
    with LocalServer(version.parent, "tiny", grpc_port=0, rest_port=0) as server:
        yield server


@pytest.fixture(params=["grpc", "rest"])
def client(request: pytest.FixtureRequest, served: LocalServer) -> Iterator[Any]:
    """A client of either protocol, patient with a busy machine."""
    if request.param == "rest":
        yield RestClient(f"127.0.0.1:{served.rest_port}", "tiny", timeout=120.0)
    else:
        with GrpcClient(f"127.0.0.1:{served.grpc_port}", "tiny", timeout=120.0) as opened:
            yield opened
