"""Nobody but a folder's own class spells the names of its files; the check is shown to find who does."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWN = "tfmtl/folders/"
KNOWN = {
    "tfmtl/schema/problem_file.py": "users write the file under this name too",
    "pipelines/physics/run_study.py": "a study's folder is none of the three steps'",
    "pipelines/physics/stored_problem.py": "likewise",
    "pipelines/cli/operators.py": "likewise",
}
NAMES = (
    "manifest.json",
    "requests.jsonl",
    "split.parquet",
    "problem.yaml",
    "statistics.json",
    "vocabularies/",
    "run.json",
    "model.keras",
    "history.csv",
    "conflict.jsonl",
    "evaluation_",
    "unfinished_",
    "best.keras",
    "state.zip",
    "saved_model.pb",
    "assets.extra",
    "transform.json",
    "times.json",
    "training_profile.json",
    "golden.jsonl",
    "golden_rank.jsonl",
    "golden_recommend.jsonl",
    "tf_serving_warmup_requests",
    "signature.md",
    "signature.json",
    "prediction_service.protoset",
    "calibration.json",
    "reliability.png",
    "operator.json",
    "retrieval.json",
    "items.parquet",
    "compose.json",
    ".tfrecord.gz",
)
_SPELLED = re.compile("|".join(map(re.escape, NAMES)))


def _spelled(source: str) -> set[str]:
    """The names in a module's texts; what docstrings say of them is for people."""
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return {name for text in texts if id(text) not in prose for name in _SPELLED.findall(str(text.value))}


def test_no_other_file_spells_a_name() -> None:
    files = [path for top in ("tfmtl", "pipelines", "serving") for path in sorted((ROOT / top).rglob("*.py"))]
    found = {path.relative_to(ROOT).as_posix(): _spelled(path.read_text(encoding="utf-8")) for path in files}
    spelling = {path: names for path, names in found.items() if names and not path.startswith(OWN)}
    assert {path: names for path, names in spelling.items() if path not in KNOWN} == {}
    assert set(KNOWN) == set(spelling)
    assert any(names for path, names in found.items() if path.startswith(OWN))


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ('path = folder / "assets.extra" / name', {"assets.extra"}),
        ('text = f"Wrote {output}/model.keras."', {"model.keras"}),
        ('path = run / f"evaluation_{split}.json"', {"evaluation_"}),
        ('def f():\n    """Reads `run.json`."""\n    return run.record', set()),
        ('"""Writes `manifest.json`."""\nPATH = "data"', set()),
    ],
)
def test_the_check_finds_who_spells(source: str, names: set[str]) -> None:
    assert _spelled(source) == names
