"""The tiny problem, preprocessed once for all tests."""

import pytest

from tests.support.tiny_problem import next_day, plain_problem, prepare, small_problem
from tfmtl.data import PreparedData


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """The preprocessed log of `tiny_problem`; not to be written to."""
    return prepare(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def plain_data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """The preprocessed log of `plain_problem`: the same rows, and models that are traced in half the time."""
    return prepare(tmp_path_factory.mktemp("plain"), plain_problem())


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """The preprocessed log of `small_problem`: the same rows, for tests of steps and runs."""
    return prepare(tmp_path_factory.mktemp("small"), small_problem())


@pytest.fixture(scope="session")
def grown_data(tiny_data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """A later log, its new values behind those of `tiny_data`; not to be written to."""
    options = {"transform_from": str(tiny_data.directory), "extend_vocabularies": True}
    return prepare(tmp_path_factory.mktemp("grown"), log=next_day(), **options)
