"""Nobody but a kind's own files asks of which kind a feature is; the check is shown to find who does."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWN = ("tfmtl/schema/features/", "tfmtl/features/", "tfmtl/schema/__init__.py", "tfmtl/schema/problem_file.py")
_ASKS = re.compile(r"\b(isinstance|type)\([^()\n]*,?\s*[^()\n]*\b\w+Feature\b|\bfeature\.kind\s*(==|!=|in\b)")


def _asking(source: str) -> bool:
    return any(
        _ASKS.search(line) and "FeatureRecord" not in line and "SequenceFeature" not in line
        for line in source.splitlines()
    )


def test_no_other_file_asks_for_the_kind_of_a_feature() -> None:
    files = [path for top in ("tfmtl", "pipelines", "serving") for path in sorted((ROOT / top).rglob("*.py"))]
    asking = {str(path.relative_to(ROOT)) for path in files if _asking(path.read_text(encoding="utf-8"))}
    assert not {path for path in asking if not path.startswith(OWN)}


@pytest.mark.parametrize(
    ("line", "is_asking"),
    [
        ("if isinstance(feature, CategoricalFeature) and feature.multi_valued:", True),
        ("x = [isinstance(each, NumericFeature) for each in features]", True),
        ('if feature.kind == "numeric":', True),
        ("if isinstance(item, FeatureRecord):", False),
        ("features = (CategoricalFeature('a'), NumericFeature('b'))", False),
        ('row = {"kind": feature.kind}', False),
    ],
)
def test_the_check_finds_who_asks(line: str, is_asking: bool) -> None:
    assert _asking(line) is is_asking
