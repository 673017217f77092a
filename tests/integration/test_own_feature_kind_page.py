"""The page about own kinds of features: its code passes the check and goes from a log to a trained model."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.tiny_problem import whole_split
from tfmtl.data import PreparedData
from tfmtl.models import from_preset
from tfmtl.schema import Problem
from tfmtl.schema.registry import FEATURES

PAGE = (Path(__file__).parents[2] / "docs" / "own_feature_kind.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(?:python|yaml)\n(.*?)```", PAGE, re.DOTALL)
FILES = ("cyclic_record.py", "cyclic_behavior.py", "cyclic_kind.py", "rides.yaml")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Holds the page's files, importable while the test runs."""
    for name, block in zip(FILES, BLOCKS[:-1], strict=True):
        assert f"`{name}`" in PAGE or name == "rides.yaml"
        (tmp_path / name).write_text(block)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    FEATURES._kinds.pop("cyclic", None)
    for name in FILES[:3]:
        sys.modules.pop(name.removesuffix(".py"), None)


def test_the_page_runs(folder: Path) -> None:
    from tfmtl.pipelines.preprocess.job import preprocess

    names: dict[str, object] = {}
    exec(BLOCKS[-1], names)
    log = names["log"]
    assert isinstance(log, pa.Table)
    pq.write_table(log, folder / "log.parquet")
    preprocess(Problem.load("rides.yaml"), ["log.parquet"], "data", num_shards=1)
    data = PreparedData("data")
    features, _ = whole_split(data, "train")
    assert {"station", "minute__sin", "minute__cos"} == set(features)
    model = from_preset("shared_bottom", data.inputs)
    assert model.embedding.field_names == ("station", "minute")
    assert model(features)["late"].shape == (len(features["station"]),)
