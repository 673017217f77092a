"""The README's quickstart, the tutorial's problem file, and the pages about requests and clients work as printed."""

import json
import re
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import yaml

from tests.support.tiny_problem import tiny_model
from tfmtl.data import PreparedData
from tfmtl.export import export
from tfmtl.pipelines.preprocess.job import preprocess
from tfmtl.schema import Problem
from tfmtl.serving.local_server import LocalServer

pytestmark = pytest.mark.process

README = Path(__file__).parents[2] / "README.md"
DOCS = README.parent / "docs"
TUTORIAL = DOCS / "tutorial.md"
REQUESTS = DOCS / "requests.md"
CLIENT_PAGE = DOCS / "serving_client.md"


def _block(page: Path, language: str) -> str:
    """The first block of code of a page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)[0]


def _log() -> dict[str, Any]:
    """The columns of a small log of the shop."""
    generator = np.random.default_rng(0)
    rows = 200
    click = generator.integers(0, 2, rows)
    return {
        "user_id": [f"u{user}" for user in generator.integers(0, 9, rows)],
        "timestamp": 1_600_000_000 + np.arange(rows) * 1_000,
        "item_id": [f"i{item}" for item in generator.integers(0, 12, rows)],
        "tags": [["new", "red"][: int(number)] for number in generator.integers(0, 3, rows)],
        "price": generator.random(rows) * 30,
        "click": click,
        "buy": click * generator.integers(0, 2, rows),
        "watch_seconds": generator.random(rows) * 60,
    }


def test_quickstart_has_five_lines_and_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code = _block(README, "python")
    assert len(code.splitlines()) == 5
    exec(compile(code, "README.md", "exec"), {"frame": pd.DataFrame(_log())})
    assert "Verification(requests=" in capsys.readouterr().out
    assert (tmp_path / "model" / "1" / "saved_model.pb").is_file()


def test_every_extra_is_listed() -> None:
    extras = tomllib.loads(README.with_name("pyproject.toml").read_text())["project"]["optional-dependencies"]
    listed = re.findall(r"^\| `(\w+)` \|", (DOCS / "install.md").read_text(), flags=re.M)
    assert sorted(listed) == sorted(set(extras) - {"all"})


def test_problem_file_is_valid() -> None:
    problem = Problem.from_dict(yaml.safe_load(_block(TUTORIAL, "yaml")))
    assert [task.name for task in problem.tasks] == ["click", "buy", "watch_seconds"]


# === Requests ===


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A model of the tutorial's problem, served."""
    folder = tmp_path_factory.mktemp("shop")
    parquet.write_table(pa.table(_log()), folder / "log.parquet")
    problem = Problem.from_dict(yaml.safe_load(_block(TUTORIAL, "yaml")))
    assert preprocess(problem, [str(folder / "log.parquet")], str(folder / "data"))["warnings"] == []
    data = PreparedData(folder / "data")
    export(tiny_model(data.inputs, "shared_bottom"), data, folder / "model")
    with LocalServer(folder / "model", "shop", grpc_port=0, rest_port=0) as server:
        yield server


def test_curl_request_is_answered(shop: LocalServer) -> None:
    url, body = re.findall(r"curl (\S+) -d '(.*)'", _block(REQUESTS, "bash"), re.DOTALL)[0]
    address = url.replace("127.0.0.1:8501", f"127.0.0.1:{shop.rest_port}")
    assert address != url
    with urllib.request.urlopen(urllib.request.Request(address, body.encode()), timeout=30) as response:
        [prediction] = json.loads(response.read())["predictions"]
    assert set(prediction) == {"click", "buy", "watch_seconds"}


def test_client_example_is_answered(shop: LocalServer, capsys: pytest.CaptureFixture[str]) -> None:
    code = _block(REQUESTS, "python")
    assert "127.0.0.1:8500" in code
    names: dict[str, dict[str, np.ndarray]] = {}
    exec(compile(code.replace("127.0.0.1:8500", f"127.0.0.1:{shop.grpc_port}"), REQUESTS.name, "exec"), names)
    assert {name: scores.shape for name, scores in names["scores"].items()} == {
        "click": (2,),
        "buy": (2,),
        "watch_seconds": (2,),
    }
    assert capsys.readouterr().out.startswith("[")


def test_client_page_works(shop: LocalServer, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", CLIENT_PAGE.read_text(encoding="utf-8"), re.DOTALL):
        here = code.replace(":8500", f":{shop.grpc_port}").replace(":8501", f":{shop.rest_port}")
        exec(compile(here, CLIENT_PAGE.name, "exec"), names)
    for answer in (names["scores"], names["same"], names["ranked"], *names["answers"]):
        for name in ("click", "buy", "watch_seconds"):
            np.testing.assert_allclose(answer[name], names["scores"][name], rtol=1e-5)
    assert len(names["answers"]) == 8 and names["best"] in ("i7", "i9")
    assert capsys.readouterr().out.startswith("price 0 INVALID_ARGUMENT: row 0: feature 'price' must be a number")


def test_request_names_are_the_models(shop: LocalServer) -> None:
    """The table, the curl body and the signature name the same features."""
    _, body = re.findall(r"curl (\S+) -d '(.*)'", _block(REQUESTS, "bash"), re.DOTALL)[0]
    url = f"http://127.0.0.1:{shop.rest_port}/v1/models/shop/metadata"
    with urllib.request.urlopen(url, timeout=30) as response:
        definition = json.loads(response.read())["metadata"]["signature_def"]["signature_def"]["serving_default"]
    [row] = json.loads(body)["instances"]
    assert set(row) == set(definition["inputs"])
