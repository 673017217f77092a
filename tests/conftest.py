"""Quiet, deterministic TensorFlow for every test."""

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# The tests run as one process a core, and on tiny tensors: more threads would only wait for each other. Set in the
# environment, so that the processes that tests start have it too.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# XLA's own passes run as ever; only the machine code it makes is not tuned, which takes half of the compilation's time.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
# Spark's start forks this process, with the gRPC servers that tests left in it, and the child only executes Java then.
# gRPC's handlers, meant for children that go on with gRPC, now and then end it before that.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests come first, so that no process starts one when the other has nothing left."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Every test starts from the same random state."""
    import keras

    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def cpp_replay(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The program that replays an export without Python; see `tests.support.cpp_replay.Replay`."""
    from tests.support.cpp_replay import Replay

    return Replay(tmp_path_factory.mktemp("cpp"))
