"""Imports flow one way; the check is shown to find each kind of wrong one."""

from pathlib import Path

import pytest

from tests.support.import_checks import import_errors

ROOT = Path(__file__).parents[2]


def test_imports_of_the_project_flow_one_way() -> None:
    errors = import_errors(ROOT)
    assert not errors, "move the code to the box that may use it, or pass the object in:\n" + "\n".join(errors)


def test_the_check_reads_the_project() -> None:
    assert (ROOT / "tfmtl" / "layers" / "sharing" / "mmoe.py").is_file()


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("tfmtl/layers/a.py", "import keras\nfrom tfmtl.core.types import Tensor\nfrom tfmtl.layers.b import C"),
        ("tfmtl/layers/gates/a.py", "from ..b import C\nfrom . import d"),
        ("tfmtl/schema/a.py", "import dataclasses\nimport yaml\nfrom tfmtl.schema.b import C"),
        ("tfmtl/training/a.py", "from tfmtl import models\nimport tfmtl.data.b"),
        ("tfmtl/balancing/a.py", "import keras\nfrom tfmtl.core.types import Tensor\nfrom tfmtl.balancing.b import C"),
        ("tfmtl/models/a.py", "from tfmtl.balancing import C"),
        (
            "serving/a.py",
            "import aiohttp\nimport tfmtl\nfrom tfmtl.schema import Problem\nfrom tfmtl.serving.b import C",
        ),
        ("pipelines/cli.py", "import tfmtl.training.a\nimport tfmtl.serving.client"),
    ],
)
def test_right_imports_pass(tmp_path: Path, path: str, source: str) -> None:
    assert _errors(tmp_path, path, source) == []


@pytest.mark.parametrize(
    ("path", "source", "reason"),
    [
        ("tfmtl/core/a.py", "import tfmtl.layers.b", "tfmtl.core may import schema, not tfmtl.layers.b"),
        ("tfmtl/core/a.py", "from tfmtl import models", "tfmtl.core may import schema, not tfmtl.models"),
        (
            "tfmtl/layers/a.py",
            "from tfmtl.losses import b",
            "tfmtl.layers may import schema, core, survival, features, not tfmtl.losses.b",
        ),
        (
            "tfmtl/balancing/a.py",
            "import tfmtl.layers.b",
            "tfmtl.balancing may import schema, core, survival, not tfmtl.layers.b",
        ),
        ("tfmtl/core/a.py", "import tfmtl.balancing", "tfmtl.core may import schema, not tfmtl.balancing"),
        (
            "tfmtl/layers/gates/a.py",
            "from ...models import b",
            "tfmtl.layers may import schema, core, survival, features, not tfmtl.models.b",
        ),
        ("tfmtl/export/a.py", "from tfmtl.report import b", "training, not tfmtl.report.b"),
        (
            "tfmtl/models/a.py",
            "def f():\n    from tfmtl.pipelines import b",
            "the library must not import tfmtl.pipelines.b",
        ),
        ("tfmtl/models/a.py", "import tfmtl.serving", "the library must not import tfmtl.serving"),
        ("tfmtl/models/a.py", "import tests.support", "the library must not import tests.support"),
        ("tfmtl/schema/a.py", "import numpy as np", "only the standard library and yaml, not numpy"),
        ("tfmtl/schema/a.py", "from tfmtl.core import b", "only the standard library and yaml, not tfmtl.core.b"),
        ("tfmtl/__init__.py", "import keras", "`import tfmtl` must not load keras"),
        ("tfmtl/values/a.py", "import tensorflow as tf", "standard library, numpy and pyarrow, not tensorflow"),
        ("tfmtl/values/a.py", "from tfmtl.core import b", "tfmtl.values may import schema, not tfmtl.core.b"),
        ("tfmtl/folders/a.py", "import numpy as np", "tfmtl.folders may import only the standard library, not numpy"),
        ("tfmtl/folders/a.py", "from tfmtl.data import b", "tfmtl.folders may import schema, not tfmtl.data.b"),
        ("tfmtl/novel/a.py", "import math", "tfmtl.novel has no place in the order of imports"),
        (
            "serving/protocol/a.py",
            "from tfmtl.serving.server.limits import B",
            "protocol must not import tfmtl.serving.server",
        ),
        (
            "serving/protocol/a.py",
            "import tfmtl.serving.client.b",
            "tfmtl.serving.protocol must not import tfmtl.serving.client",
        ),
        (
            "serving/client/a.py",
            "from tfmtl.serving.server import b",
            "tfmtl.serving.client must not import tfmtl.serving.server",
        ),
        (
            "serving/server/a.py",
            "from tfmtl.serving.client import b",
            "tfmtl.serving.server must not import tfmtl.serving.client",
        ),
        (
            "serving/a.py",
            "from tfmtl.core import b",
            "tfmtl.serving may import only schema, values, folders, not tfmtl.core.b",
        ),
        (
            "serving/a.py",
            "from tfmtl.pipelines import b",
            "tfmtl.serving may import only schema, values, folders, not tfmtl.pipelines.b",
        ),
        ("serving/a.py", "import benchmarks.a", "may import only schema, values, folders, not benchmarks.a"),
        ("pipelines/a.py", "import tests.support", "nothing imports tests"),
        ("pipelines/a.py", "from serving.b import C", "serving.b.C is imported as tfmtl.serving.b.C"),
    ],
)
def test_wrong_imports_are_found(tmp_path: Path, path: str, source: str, reason: str) -> None:
    [error] = _errors(tmp_path, path, source)
    assert error.startswith(f"{path}:")
    assert reason in error


def _errors(root: Path, path: str, source: str) -> list[str]:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(source, encoding="utf-8")
    return import_errors(root)
