"""One export and one running server for the tests that leave both as they found them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import prediction_service_pb2_grpc

from tests.serving.blocking_client import BlockingClient
from tests.serving.certificates import write_pems
from tests.serving.toy_models import FEATURES, export
from tfmtl.serving.async_grpc_client import AsyncGrpcClient
from tfmtl.serving.async_rest_client import AsyncRestClient
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.rest_client import RestClient


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 3 of the toy model; its parent is a base directory."""
    return export(tmp_path_factory.mktemp("exports"), 3, offset=0.5)


@pytest.fixture(scope="session")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of what `write_pems` makes."""
    if shutil.which("openssl") is None:
        pytest.skip("certificates are made by the openssl command")
    folder = tmp_path_factory.mktemp("pems")
    write_pems(folder)
    return folder


@pytest.fixture(scope="session")
def running_server(exported: Path) -> Iterator[LocalServer]:
    with LocalServer(exported.parent, "toy", grpc_port=0, rest_port=0) as server:
        yield server


@pytest.fixture
def server(running_server: LocalServer) -> Iterator[LocalServer]:
    """The running server, which must answer as well after the test as before."""
    yield running_server
    with GrpcClient(f"127.0.0.1:{running_server.grpc_port}", "toy") as client:
        over_grpc = client.predict(FEATURES)
    over_rest = RestClient(f"127.0.0.1:{running_server.rest_port}", "toy").predict(FEATURES)
    for name in ("click", "watch"):
        np.testing.assert_array_equal(over_grpc[name], over_rest[name])


@pytest.fixture
def channel(server: LocalServer) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        yield channel


@pytest.fixture
def prediction_stub(channel: grpc.Channel) -> prediction_service_pb2_grpc.PredictionServiceStub:
    """The stub any TF Serving user has."""
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture
def grpc_client(server: LocalServer) -> Iterator[GrpcClient]:
    with GrpcClient(f"127.0.0.1:{server.grpc_port}", "toy") as client:
        yield client


@pytest.fixture
def rest_client(server: LocalServer) -> RestClient:
    return RestClient(f"127.0.0.1:{server.rest_port}", "toy")


@pytest.fixture
def async_grpc_client(server: LocalServer) -> Iterator[BlockingClient]:
    with BlockingClient(AsyncGrpcClient, f"127.0.0.1:{server.grpc_port}", "toy") as client:
        yield client


@pytest.fixture
def async_rest_client(server: LocalServer) -> Iterator[BlockingClient]:
    with BlockingClient(AsyncRestClient, f"127.0.0.1:{server.rest_port}", "toy") as client:
        yield client
