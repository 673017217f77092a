"""The whole job as a user runs it: one command, from raw files to answered requests."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from tests.support.command import tfmtl
from tests.support.prepared_folder import write_anew
from tfmtl.pipelines.cli.app import first_line

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(movielens_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Output folder and screen of `tfmtl run`, killed half-way the first time."""
    output = tmp_path_factory.mktemp("demo") / "out"
    command = [sys.executable, "-m", "tfmtl.pipelines.cli", "run", "movielens_100k", "-o", str(output)]
    command += ["--folder", str(movielens_folder), "--epochs", "1"]
    command += ["--preset", "mmoe", "--compare", "single_task"]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while not (output / ".data.tfmtl" / "partial").exists() and killed.poll() is None:
        time.sleep(0.02)
    assert (output / ".data.tfmtl" / "partial").exists(), "the job never began to write"
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (output / "data").exists()
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return output, result.stdout


def test_run_after_a_killed_run_does_every_step(demo: tuple[Path, str]) -> None:
    output, screen = demo
    manifest = json.loads((output / "data" / "manifest.json").read_text())
    assert manifest["rows_in"] == manifest["rows_written"] == 1500
    assert not (output / ".data.tfmtl").exists()
    for preset in ("mmoe", "single_task"):
        report = json.loads((output / "runs" / preset / "evaluation_test.json").read_text())
        assert set(report) == {"like", "love", "stars"}
        assert f"│ {preset}" in screen
        assert ("boosted trees, with ids" in report["like"].get("plain_models", {})) is (preset == "mmoe")
    assert "│ boosted trees" in screen and "│ logistic regression" in screen
    assert (output / "model" / "1" / "saved_model.pb").is_file()
    assert "largest difference" in screen
    for task in ("like", "love", "stars"):
        line = next(line for line in screen.splitlines() if line.startswith(f"  {task}: gRPC "))
        over_grpc, over_rest = line.removeprefix(f"  {task}: gRPC ").split("; REST ")
        assert over_grpc == over_rest


def test_steps_take_each_others_folders(demo: tuple[Path, str], tmp_path: Path) -> None:
    output, _ = demo
    run = tmp_path / "run"
    learns = ("--epochs", "8", "--batch-size", "64", "--learning-rate", "0.005", "--id-dropout", "0")  # a few rows
    trained = tfmtl("train", output / "data", "-o", run, "--preset", "mmoe", *learns, "--set", "num_experts=2")
    assert trained.code == 0, trained.err
    record = json.loads((run / "run.json").read_text())
    assert record["options"]["preset_options"] == {"num_experts": 2}
    again = tfmtl("train", "--config", run / "run.json", "-o", run)
    assert (again.code, json.loads((run / "run.json").read_text())) == (0, record), "the same run, which is finished"
    evaluated = tfmtl("evaluate", run, "--split", "valid", "--calibrate", "platt", "--with-trees", "--resamples", "20")
    assert evaluated.code == 0, evaluated.err
    assert "against boosted trees" in evaluated.out
    evaluation = json.loads((run / "evaluation_valid.json").read_text())
    assert set(evaluation) == {"like", "love", "stars"}
    assert evaluation["like"]["calibration"] == evaluation["love"]["calibration"] == "platt"
    assert evaluation["like"]["log_loss_calibrated"] < evaluation["like"]["log_loss"]
    assert "ece_calibrated" not in evaluation["stars"]
    trees = evaluation["stars"]["plain_models"]
    against = evaluation["stars"]["compared_with_trees"]["rmse"]
    assert against["value"] == evaluation["stars"]["rmse"]
    assert against["baseline"] == min(trees[name]["rmse"] for name in trees if name.startswith("boosted")) > 0.0
    assert against["low"] <= against["difference"] <= against["high"]
    assert (run / "reliability_valid.png").is_file()
    choice = ("--tasks", "love,stars", "--scores", "value=like*stars", "--calibrate", "love=isotonic")
    exported = tfmtl("export", run, "-o", tmp_path / "model", *choice)
    assert exported.code == 0, exported.err
    assert "isotonic" in exported.out
    assert exported.out.index("Verified") < exported.out.index("Wrote"), "it gets its name only when it is proven"
    golden = (tmp_path / "model" / "1" / "assets.extra" / "golden.jsonl").read_text().splitlines()[:3]
    requests = tmp_path / "requests.jsonl"
    requests.write_text("".join(json.dumps(json.loads(line)["features"]) + "\n" for line in golden))
    predicted = tfmtl("predict", tmp_path / "model", requests)
    assert predicted.code == 0, predicted.err
    for line, answer in zip(golden, predicted.out.splitlines(), strict=True):
        expected = json.loads(line)["response"]
        assert set(expected) == {"love", "stars", "value"}
        assert json.loads(answer) == pytest.approx(expected, abs=1e-5)


def test_deploy_files_measure_the_exported_model(demo: tuple[Path, str], tmp_path: Path) -> None:
    output, _ = demo
    result = tfmtl("deploy-files", output / "model", "-o", tmp_path / "deploy", "--budget", "5000", "--cpus", "3")
    assert result.code == 0, result.err
    batching = (tmp_path / "deploy" / "batching.config").read_text()
    assert "signature serve_examples to `movielens_100k`" in batching
    assert "num_batch_threads { value: 3 }" in batching
    assert 'name: "movielens_100k"' in (tmp_path / "deploy" / "models.config").read_text()
    assert "rows/s" in result.out
    twice = tfmtl("deploy-files", output / "model", output / "model", "-o", tmp_path / "deploy")
    assert (twice.code, "must have different names" in twice.err) == (2, True)


def test_evaluation_on_data_fitted_anew_is_refused_and_writes_nothing(demo: tuple[Path, str], tmp_path: Path) -> None:
    output, _ = demo
    other = Path(shutil.copytree(output / "data", tmp_path / "other"))
    name = "transform/vocabularies/item_id.txt"
    write_anew(other, name, "".join(reversed((other / name).read_text().splitlines(keepends=True))))
    report = output / "runs" / "mmoe" / "evaluation_test.json"
    before = report.read_bytes()
    result = tfmtl("evaluate", output / "runs" / "mmoe", "--data", other)
    assert result.code == 2
    assert "evaluate: `data` must be what the model was trained on." in result.err
    assert report.read_bytes() == before


def test_train_options_arrive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[Any] = []

    def fit(data: Any, output: Path, options: Any, callbacks: Any, verbose: int, fresh: bool) -> None:
        seen.append((options, fresh))
        warnings.warn("fit: look [here]", stacklevel=1)

    monkeypatch.setattr("tfmtl.data.PreparedData", lambda folder: folder)
    monkeypatch.setattr("tfmtl.training.fit", fit)
    given = ("--jit-compile", "--clip-norm", "2", "--checkpoint-every", "50", "--no-deterministic", "--no-memory-check")
    result = tfmtl("train", "data", "-o", tmp_path, *given, "--fresh")
    assert result.code == 0
    assert result.err == "warning: fit: look [here]\n"
    assert tfmtl("train", "data", "-o", tmp_path).code == 0
    names = ("jit_compile", "clip_norm", "checkpoint_every", "deterministic", "memory_check")
    found = [(*(getattr(options, name) for name in names), fresh) for options, fresh in seen]
    assert found == [(True, 2.0, 50, False, False, True), (False, None, None, True, True, False)]

    arguments = "--balancing pcgrad --sharpness asam --rho 1.5 --decomposed --monitor-conflicts".split()
    assert tfmtl("train", "data", "-o", tmp_path, *arguments).code == 0
    chosen = seen[-1][0]
    assert (chosen.balancing, chosen.sharpness, chosen.rho, chosen.decomposed) == ("pcgrad", "asam", 1.5, True)
    assert chosen.monitor_conflicts
    assert tfmtl("train", "data", "-o", tmp_path, "--balancing", "mgda", "--balance-at", "representation").code == 0
    assert (seen[-1][0].balancing, seen[-1][0].balance_at) == ("mgda", "representation")


def test_version() -> None:
    result = tfmtl("--version")
    assert (result.code, result.out, result.err) == (0, f"tfmtl {metadata.version('tfmtl')}\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "nowhere", "-o", "x"), "no manifest.json. Run the preprocessing first."),
        (("evaluate", "nowhere"), "no run.json in 'nowhere'. Give the output folder of `tfmtl train`."),
        (("export", "nowhere", "-o", "x"), "no run.json in 'nowhere'"),
        (("verify", "nowhere"), "must be a directory that export() wrote. Received: version='nowhere'"),
        (("serve", "nowhere"), "Export a model first."),
        (
            ("deploy-files", "nowhere", "-o", "x"),
            "'nowhere' holds no version. Give the output folder of `tfmtl export`.",
        ),
        (("predict", "nowhere", "x"), "'nowhere' holds no version. Give the output folder of `tfmtl export`."),
        (("datasets", "movielens"), "Did you mean 'movielens_100k'?"),
        (("run", "movielens", "-o", "x"), "Did you mean 'movielens_100k'?"),
        (("run", "movielens_100k", "-o", "x", "--preset", "mmeo"), "Did you mean 'mmoe'?"),
        (("run", "movielens_100k", "-o", "x", "--compare", "single_tsk"), "Did you mean 'single_task'?"),
        (("run", "movielens_100k", "-o", "x", "--epochs", "0"), "`epochs` must be a positive int"),
        (
            ("train", "nowhere", "-o", "x", "--set", "units=[1"),
            "the value of `--set` must be YAML, as in num_experts=8.",
        ),
        (
            ("preprocess", "log.csv", "-o", "x", "--seeed", "3"),
            "option '--seeed' is neither an option of tfmtl nor of Beam.",
        ),
        (("preprocess", "log.csv", "-o", "x", "--shard=3"), "Did you mean '--shards'?"),
        (("preprocess", "-o", "x", "--direct_num_workers=2"), "no input is given. Give files, patterns or folders."),
        (("preprocess", "nowhere.csv", "-o", "x", "--problem", "nowhere.yaml"), "no problem file at 'nowhere.yaml'"),
    ],
)
def test_error_is_one_line_and_exit_status_2(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = tfmtl(*arguments)
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert result.err.startswith("error: ")
    assert message in result.err
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback() -> None:
    for arguments in (("--debug", "evaluate", "nowhere"), ("evaluate", "nowhere", "--debug")):
        with pytest.raises(FileNotFoundError, match=r"no run\.json"):
            tfmtl(*arguments)


def test_interrupt_inside_a_worker_ends_like_any_interrupt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise RuntimeError("KeyboardInterrupt [while running 'read rows']")

    monkeypatch.setattr("tfmtl.pipelines.preprocess.job.preprocess", interrupted)
    (tmp_path / "problem.yaml").write_text(
        "name: p\nfeatures: [{kind: categorical, name: a}]\ntasks: [{kind: binary, name: b}]\n"
        "split: {by: column, column: c}\n"
    )
    result = tfmtl("preprocess", tmp_path, "-o", tmp_path / "out")
    assert (result.code, result.err) == (130, "")


@pytest.fixture
def _loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version is read from its files by the first command of a test alone."""
    monkeypatch.setattr(tf.saved_model, "load", cache(tf.saved_model.load))


@pytest.mark.usefixtures("_loaded_once")
def test_predict_names_line_and_feature(demo: tuple[Path, str], tmp_path: Path) -> None:
    output, _ = demo
    golden = (output / "model" / "1" / "assets.extra" / "golden.jsonl").read_text().splitlines()[0]
    request = json.loads(golden)["features"]
    requests = tmp_path / "requests.jsonl"
    for wrong, message in (
        ({name: value for name, value in request.items() if name != "item_id"}, "line 2 lacks feature 'item_id'"),
        (
            {**request, "liked__item_id": "50"},
            "line 2: feature 'liked__item_id' must be a list of text, [] where it is missing (string). Received: '50'",
        ),
        ([1], "line 2 must be an object of features"),
        (
            {**request, "age": None},
            "line 2: feature 'age' must be a number, NaN where it is missing (float32). Received: None",
        ),
        (
            {**request, "age": "30"},
            "feature 'age' must be a number, NaN where it is missing (float32). Received: '30' (str)",
        ),
        (
            {**request, "gender": None},
            "line 2: feature 'gender' must be text, \"\" where it is missing (string). Received: None",
        ),
        (
            {**request, "timestamp": 1.5},
            "line 2: feature 'timestamp' must be a whole number (int64). Received: 1.5 (float)",
        ),
        (
            {**request, "timestamp": 2**63},
            "feature 'timestamp' must be a whole number (int64). Received: 9223372036854775808",
        ),
        (
            {**request, "genres": ["a", None]},
            "feature 'genres' must hold text, \"\" where it is missing (string). Received: None",
        ),
        (
            {**request, "liked__item_id": [*request["liked__item_id"], "1"]},
            "events of 'liked__",
        ),
    ):
        requests.write_text(json.dumps(request) + "\n" + json.dumps(wrong) + "\n")
        result = tfmtl("predict", output / "model", requests)
        assert result.code == 2
        assert message in result.err


@pytest.mark.usefixtures("_loaded_once")
def test_predict_takes_the_requests_that_preprocessing_keeps(demo: tuple[Path, str], tmp_path: Path) -> None:
    output, _ = demo
    lines = (output / "data" / "requests.jsonl").read_text().splitlines()
    (tmp_path / "bare.jsonl").write_text("".join(json.dumps(json.loads(line)["features"]) + "\n" for line in lines))
    nested = tfmtl("predict", output / "model", output / "data" / "requests.jsonl")
    assert nested.code == 0, nested.err
    assert len(nested.out.splitlines()) == len(lines)
    bare = (tmp_path / "bare.jsonl").read_bytes()
    (tmp_path / "marked.jsonl.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf" + bare))
    for name in ("bare.jsonl", "marked.jsonl.gz"):
        assert nested.out == tfmtl("predict", output / "model", tmp_path / name).out
    (tmp_path / "cut.gz").write_bytes(gzip.compress(bare)[:-20])
    cut = tfmtl("predict", output / "model", tmp_path / "cut.gz")
    assert cut.code == 2 and "is not a complete gzip file" in cut.err


def test_first_line_finds_the_error_in_a_workers_traceback() -> None:
    text = "Traceback (most recent call last):\n  File x\nInputError: file 'a' is cut off. [while running 'read']\n"
    assert first_line(RuntimeError(text)) == "file 'a' is cut off."
    assert first_line(ValueError("one\ntwo")) == "one"
    assert first_line(KeyError()) == "KeyError"
