"""Quiet, deterministic TensorFlow for every test."""

import atexit
import gc
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Generator
from pathlib import Path
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
# What the processes of one test run share.
if "TFMTL_TESTS_SHARED" not in os.environ:
    os.environ["TFMTL_TESTS_SHARED"] = tempfile.mkdtemp(prefix="tfmtl_tests_")
    atexit.register(shutil.rmtree, os.environ["TFMTL_TESTS_SHARED"], ignore_errors=True)

import pytest

from tests.support.forget_graphs import forget_graphs
from tests.support.no_starts import nothing_started
from tests.support.quick_beam import remember_signatures
from tests.support.quick_processes import quicken_processes
from tests.support.quick_seed import QuickSeed

# Session fixtures that start a process or a server: whoever uses them is no test of `make check`.
STARTING = frozenset(("cpp_replay", "pems", "running_server", "spark_home"))

# Folders and files that train, export or preprocess in most of their tests. `make check` leaves them out and keeps the
# others of their folders.
LONG = (
    "golden",
    "integration",
    "pipelines/test_infer_to_model.py",
    "pipelines/test_output_folder.py",
    "pipelines/test_preprocess_bad_input.py",
    "pipelines/test_preprocess_formats.py",
    "pipelines/test_schema_infer.py",
    "unit/export/test_every_preset.py",
    "unit/export/test_export.py",
    "unit/models/test_balancing_in_training.py",
    "unit/models/test_flat_minima.py",
    "unit/models/test_growth.py",
    "unit/models/test_loading.py",
    "unit/models/test_loss_scale.py",
    "unit/models/test_model_training.py",
    "unit/models/test_training_steps.py",
    "unit/operators/test_operator_network.py",
    "unit/runs",
    "unit/tasks/test_every_kind.py",
    "unit/training/test_conflict_monitor.py",
    "unit/training/test_evaluate.py",
    "unit/training/test_fit.py",
    "unit/training/test_init_from.py",
    "unit/training/test_training_state.py",
    "unit/training/test_weight_average.py",
)

# Files of a minute or more that have no slow test.
LONGEST = (
    "conformance/test_layers.py",
    "unit/data/test_raw_transform.py",
    "unit/models/test_model_training.py",
    "unit/models/test_presets.py",
    "unit/training/test_fit.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks by fixture and folder; the longest files come first, so that no process has one left when others are done.

    The file is what a process takes at a time (`--dist loadfile`), and `--no-loadscope-reorder` keeps this order.
    """
    long = tuple(str(Path(__file__).parent / place) for place in LONG)
    longest = tuple(str(Path(__file__).parent / place) for place in LONGEST)
    stages: dict[Path, int] = {}
    for item in items:
        if STARTING.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("process")
        if str(item.path).startswith(long):
            item.add_marker("long")
        first = str(item.path).startswith(longest) or item.get_closest_marker("slow") is not None
        stage = 0 if first else 1 if item.get_closest_marker("long") is not None else 2
        stages[item.path] = min(stage, stages.get(item.path, stage))
    numbers = Counter(item.path for item in items)
    items.sort(key=lambda item: (stages[item.path], -numbers[item.path]))


def pytest_collection_finish() -> None:
    """Takes TensorFlow's million objects out of the rounds of the garbage collector: a fifth of the time of a trace.

    And makes a few things quicker that take long in every test.
    """
    remember_signatures()
    quicken_processes()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Where tests that start something are left out, those that are left start nothing, fixtures included."""
    with nothing_started(forbidden="not process" in item.config.option.markexpr):
        return (yield)


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """A file leaves no graph behind."""
    if nextitem is None or nextitem.path != item.path:
        forget_graphs()


@pytest.fixture(scope="session")
def _seeds() -> QuickSeed:
    return QuickSeed()


@pytest.fixture(autouse=True)
def _seeded(_seeds: QuickSeed) -> None:
    """Every test starts from the same random state."""
    _seeds(0)


@pytest.fixture(scope="session")
def cpp_replay() -> Any:
    """The program that replays an export without Python; see `tests.support.cpp_replay.Replay`."""
    from tests.support.cpp_replay import Replay

    return Replay()
