"""The statistics' file and digest are those of plain `json.dumps`, which is not asked to walk millions of values."""

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tfmtl.data.transform_statistics import TransformStatistics

WHOLE = TransformStatistics(
    vocabularies={"item": ("a", "ü", '"'), "empty": (), 'odd "name"': ("x",)},
    vocabulary_counts={"item": (5, 2, 1), "empty": (), 'odd "name"': (7,)},
    boundaries={"age": (1.5, 2.25), "none": ()},
    means={"price": 1e-9},
    deviations={"price": 2.0},
    label_means={"click": 0.1},
    label_deviations={"click": 0.3},
    task_state={"life": {"cuts": [1, 2]}},
    extends=("0123",),
    states={"rate": {"values": [1.0, 2.0]}},
    notes=("a note",),
)
PLAIN = replace(WHOLE, vocabularies={}, vocabulary_counts={}, task_state={}, extends=(), states={})


@pytest.mark.parametrize("statistics", [WHOLE, PLAIN])
def test_the_file_is_what_json_writes(tmp_path: Path, statistics: TransformStatistics) -> None:
    statistics.save(tmp_path)
    [file] = tmp_path.glob("*.json")
    text = file.read_text()
    assert text == json.dumps(json.loads(text), indent=1, sort_keys=True) + "\n"
    assert TransformStatistics.load(tmp_path) == replace(statistics, notes=())


@pytest.mark.parametrize("statistics", [WHOLE, PLAIN])
def test_the_digest_is_that_of_all_that_was_learned(statistics: TransformStatistics) -> None:
    fitted = {name: value for name, value in asdict(statistics).items() if name not in ("extends", "notes", "training")}
    for name in ("states", "task_state"):
        if not fitted[name]:
            del fitted[name]
    text = json.dumps(fitted, sort_keys=True, ensure_ascii=False)
    assert statistics.digest == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert replace(statistics, means={"price": 2e-9}).digest != statistics.digest
