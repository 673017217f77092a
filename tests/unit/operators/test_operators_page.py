"""The code of docs/operators.md runs as it stands, with fewer steps."""

import re
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[3] / "docs" / "operators.md"


def test_code_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict = {}
    for block in blocks:
        exec(block.replace("steps = 2000", "steps = 60"), names)
    assert len(blocks) == 2
    assert np.isfinite(names["error"])
    assert names["values"].shape == (2, 3)
    assert (names["version"] / "assets.extra" / "signature.md").is_file()
