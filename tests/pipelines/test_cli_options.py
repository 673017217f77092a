"""Options of a command that come from a dataclass and from a file."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import tfmtl
from tfmtl.pipelines.cli.dataclass_options import DataclassOptions
from tfmtl.training import TrainOptions

TRAIN = DataclassOptions("tfmtl.training.train_options:TrainOptions", settings="preset_options")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Path, TrainOptions]]:
    """What `fit` would have been called with."""
    calls: list[tuple[Any, Path, TrainOptions]] = []
    monkeypatch.setattr("tfmtl.data.PreparedData", lambda folder: folder)
    monkeypatch.setattr("tfmtl.training.fit", lambda data, output, options, **_: calls.append((data, output, options)))
    return calls


def test_every_field_is_an_option_with_its_default_and_a_sentence() -> None:
    options = TRAIN.signature().parameters
    assert list(options) == [field.name for field in fields(TrainOptions)]
    for field in fields(TrainOptions):
        option = options[field.name]
        assert len(option.annotation.__metadata__[0].help.split()) >= 3, f"what is {field.name}?"
        assert field.name == "preset_options" or option.default == field.default


def test_what_has_no_option_keeps_its_default() -> None:
    named = DataclassOptions("tfmtl.retrieval.retrieval_options:RetrievalOptions", leave_out=("hidden_units",))
    given = {name: option.default for name, option in named.signature().parameters.items()}
    options = named.make("retrieve", given | {"dim": 8})
    assert (options.dim, options.hidden_units) == (8, (64,))


def test_a_file_gives_options_and_the_command_line_wins(
    trained: list[tuple[Any, Path, TrainOptions]], tmp_path: Path
) -> None:
    run_file = tmp_path / "run.yaml"
    run_file.write_text(
        "data: prepared\npreset: mmoe\nepochs: 3\njit_compile: true\nclip_norm: null\n"
        "preset_options: {num_experts: 2, tower_units: [8, 4], gate: off}\n"
    )
    result = tfmtl("train", "--config", run_file, "-o", tmp_path / "run", "--epochs", 4, "--no-jit-compile")
    assert result.code == 0, result.err
    [(data, output, options)] = trained
    assert (str(data), output) == ("prepared", tmp_path / "run")
    assert (options.preset, options.epochs, options.jit_compile, options.clip_norm) == ("mmoe", 4, False, None)
    assert options.preset_options == {"num_experts": 2, "tower_units": (8, 4), "gate": "off"}


def test_a_file_may_have_a_section_per_step(trained: list[tuple[Any, Path, TrainOptions]], tmp_path: Path) -> None:
    run_file = tmp_path / "run.yaml"
    run_file.write_text("train: {batch_size: 64}\nexport: {tasks: buy}\n")
    assert tfmtl("train", "data", "-o", tmp_path, "--config", run_file).code == 0
    assert trained[0][2].batch_size == 64


def test_the_record_of_a_run_trains_it_again(trained: list[tuple[Any, Path, TrainOptions]], tmp_path: Path) -> None:
    options = TrainOptions(
        preset="mmoe", preset_options={"expert_units": (16, 8), "gate": "off"}, learning_rate=3e-3, seed=7
    )
    record = {"model": "mmoe", "options": options.to_dict(), "data": "/prepared", "history": {"loss": [1.0]}}
    (tmp_path / "run.json").write_text(json.dumps(record))
    result = tfmtl("train", "--config", tmp_path / "run.json", "-o", tmp_path / "again")
    assert result.code == 0, result.err
    assert (str(trained[0][0]), trained[0][2]) == ("/prepared", options)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("epoch: 3", "must hold options of this step. Received: 'epoch'"),
        ("epoch: 3", "Did you mean 'epochs'?"),
        ("- 3", "must hold options by their names."),
        ("epochs: [", "must be a YAML or JSON file."),
        ("epochs: 3\nepochs: 4", "key 'epochs' occurs twice"),
        ("!!python/object/apply:os.system ['true']", "must be a YAML or JSON file."),
        (None, "(No such file or directory)"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, text: str | None, reason: str) -> None:
    path = tmp_path / "run.yaml"
    if text is not None:
        path.write_text(text)
    result = tfmtl("train", "data", "-o", tmp_path, "--config", path)
    assert result.code == 2
    assert result.err.startswith("error: train: `--config` ")
    assert reason in result.err
    assert result.err.count("\n") == 1


def test_help_lists_the_steps_in_the_order_of_work() -> None:
    screen = tfmtl("--help").out
    places = [
        screen.index(f" {step} ")
        for step in "preprocess data-report train evaluate export verify predict serve".split()
    ]
    assert places == sorted(places)
    assert "--install-completion" in screen
    assert all("--config" in tfmtl(step, "--help").out for step in ("preprocess", "train", "export", "retrieve"))
