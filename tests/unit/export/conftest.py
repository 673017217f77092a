"""One exported model for the tests that only read it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.layer_checks import randomize_weights
from tests.support.tiny_problem import tiny_model
from tfmtl.data import PreparedData
from tfmtl.export import export
from tfmtl.models import MultiTaskModel


@pytest.fixture(scope="session")
def model(tiny_data: PreparedData) -> MultiTaskModel:
    """A model all of whose weights matter."""
    model = tiny_model(tiny_data.inputs, "mmoe")
    randomize_weights(model)
    for weight in model.trainable_weights:
        weight.assign(0.4 * weight)  # so that no probability is 0 or 1
    return model


@pytest.fixture(scope="session")
def version(tiny_data: PreparedData, model: MultiTaskModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its export; not to be written to."""
    return export(model, tiny_data, tmp_path_factory.mktemp("export") / "tiny")


@pytest.fixture
def copy(version: Path, tmp_path: Path) -> Path:
    """A copy of the export, to be tampered with."""
    return Path(shutil.copytree(version, tmp_path / "tiny" / "1"))


@pytest.fixture(scope="session")
def golden(version: Path) -> list[dict[str, Any]]:
    """The golden requests and answers."""
    text = (version / "assets.extra" / "golden.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n")[:-1]]
