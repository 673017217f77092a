"""`tfmtl evaluate`: what it predicts, and how often."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import tfmtl
from tests.support.tiny_problem import prepare
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


def test_slices_and_a_baseline_are_measured_and_printed(tiny_runs: tuple[Path, Path]) -> None:
    good, poor = tiny_runs
    asked = ("--slice", "topic", "--slice", "young: age < 30", "--resamples", 30)
    result = tfmtl("evaluate", good, *asked, "--baseline", poor)
    assert result.code == 0, result.err
    report = json.loads((good / "evaluation_test.json").read_text())
    topics = report["click"]["slices"]["topic"]
    assert sum(part["rows"] for part in topics.values()) == 120
    assert all(part["few"] for part in topics.values())
    young = report["click"]["slices"]["young"][""]
    assert young["intervals"]["auc"]["low"] <= young["auc"] <= young["intervals"]["auc"]["high"]
    compared = report["click"]["compared_with"]
    assert compared["run"] == str(poor)
    assert compared["metrics"]["auc"]["verdict"] == "better"
    assert report["click"]["auc"] - compared["metrics"]["auc"]["baseline"] == pytest.approx(
        compared["metrics"]["auc"]["difference"]
    )
    for shown in ("click, slices", "young", "few: less than 100 labels", "against", "better"):
        assert shown in result.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--slice", "contry"), "must name columns of the problem"),
        (("--slice", "age <"), "cannot read"),
        (("--baseline", "nowhere"), "no run.json in 'nowhere'"),
        (("--resamples", "0", "--slice", "topic"), "`resamples` must be a positive int"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    tiny_runs: tuple[Path, Path], options: tuple[str, ...], message: str
) -> None:
    result = tfmtl("evaluate", tiny_runs[0], *options)
    assert result.code == 2
    assert message in result.err and len(result.err.splitlines()) == 1


def test_a_baseline_on_other_data_is_refused(tiny_runs: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "run"
    shutil.copytree(tiny_runs[1], other)
    data = prepare(tmp_path, seed=1)
    record = json.loads((other / "run.json").read_text())
    (other / "run.json").write_text(json.dumps({**record, "data": str(data.directory)}))
    result = tfmtl("evaluate", tiny_runs[0], "--baseline", other)
    assert result.code == 2
    assert "`--baseline` must be a run on the same prepared data" in result.err
    assert len(result.err.splitlines()) == 1
