"""`tfmtl evaluate`: what it predicts, and how often."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.command import tfmtl
from tfmtl.models import MultiTaskModel


@pytest.mark.parametrize(
    ("split", "options", "expected"),
    [
        ("test", ("--calibrate", "platt", "--scores", "value=click*buy"), 2),
        ("valid", ("--calibrate", "platt", "--scores", "value=click*buy"), 1),
    ],
)
def test_every_split_is_predicted_once(
    tiny_runs: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    split: str,
    options: tuple[str, ...],
    expected: int,
) -> None:
    predict, calls = MultiTaskModel.predict, []

    def counted(self: MultiTaskModel, *args: Any, **kwargs: Any) -> Any:
        calls.append(split)
        return predict(self, *args, **kwargs)

    monkeypatch.setattr(MultiTaskModel, "predict", counted)
    result = tfmtl("evaluate", tiny_runs[0], "--split", split, *options)
    assert result.code == 0, result.err
    assert len(calls) == expected
