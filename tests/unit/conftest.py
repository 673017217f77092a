"""The tiny problem, preprocessed once for all tests."""

import pytest

from tests.support.tiny_problem import prepare
from tfmtl.data import PreparedData


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """The preprocessed log of `tiny_problem`; not to be written to."""
    return prepare(tmp_path_factory.mktemp("tiny"))
