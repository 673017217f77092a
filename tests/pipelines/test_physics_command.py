"""The command, from samples to table, figure and model, on a few samples and steps."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from rich.console import Console

from tests.unit.operators.small_problems import waves
from tfmtl.pipelines.physics.run_study import print_rows, run_study
from tfmtl.pipelines.physics.stored_problem import stored
from tfmtl.pipelines.physics.studies import STUDIES
from tfmtl.pipelines.physics.study import Row, Setting, first_of_each, trivial_rows


@pytest.mark.parametrize("problem", STUDIES)
def test_quick_study(problem: str, tmp_path: Path) -> None:
    console = Console(record=True, width=200)
    rows = run_study(console, problem, tmp_path, quick=True)
    text = console.export_text()
    names = [row.name for row in rows]
    assert len(set(names)) == len(names)
    for name in ("mean field of training", "multi-task", "single tasks, same total steps"):
        assert name in names
    # The plate's network moves the points with the geometry, which the closed form cannot.
    assert any("ridge" in name for name in names) == (problem != "plate")
    assert "A field costs" in text
    for row in rows:
        assert all(np.all(np.isfinite(errors)) for errors in row.errors.values()), row.name
    record = json.loads((tmp_path / "results.json").read_text())
    assert [row["name"] for row in record["rows"]] == names
    assert 0.0 < record["solver_error"] < 0.01
    assert (tmp_path / "fields.png").stat().st_size > 10_000
    splits = stored(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["samples"]["train"] == {
        name: int(np.sum(splits["train"].tasks == number)) for number, name in enumerate(splits["train"].task_names)
    }
    network = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert network(splits["test"].rows(slice(2)).features()).shape == (2, len(splits["test"].points))


def test_other_problems_and_steps_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`problem` must be one of \['fisher', 'darcy', 'plate'\]"):
        run_study(Console(), "fish", tmp_path)
    with pytest.raises(ValueError, match="`steps` must be a positive int"):
        run_study(Console(), "fisher", tmp_path, steps=-1)


def test_a_share_of_the_steps_is_one_at_least() -> None:
    assert Setting(10).share(3).steps == 3
    assert Setting(2).share(3).steps == 1


def test_trivial_predictors_by_hand() -> None:
    data, test = waves(5), waves(3, seed=1)
    mean, nearest = trivial_rows(data, data)
    assert all(np.all(errors == 0.0) for errors in nearest.errors.values())  # each is its own nearest
    own = data.task("a")
    gap = np.linalg.norm(own.targets - own.targets.mean(axis=0), axis=1) / np.linalg.norm(own.targets, axis=1)
    np.testing.assert_allclose(mean.errors["a"], gap, rtol=1e-5)
    assert np.mean(trivial_rows(data, test)[1].errors["a"]) > 0.0
    assert np.bincount(first_of_each(data, 2).tasks).tolist() == [2, 2]


def test_a_narrow_table_shows_every_number(tmp_path: Path) -> None:
    """As in a file, where there are eighty columns."""
    name = "to F3 with 50 samples, last branch layer by ridge regression"
    errors = {
        task: np.array([value]) for task, value in zip(("F1", "F2", "F3", "F4"), (0.01, 0.02, 0.03, 0.04), strict=True)
    }
    with (tmp_path / "table.txt").open("w") as file:
        print_rows(Console(file=file, width=80), [Row(name, errors, 1234, 5.0)], list(errors), "Fisher")
    text = (tmp_path / "table.txt").read_text()
    assert all(number in text for number in ("0.0100", "0.0200", "0.0300", "0.0400", "0.040", "1,234", "5.0"))
    assert all(word in text for word in name.split())
