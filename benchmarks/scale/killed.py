"""What is left when a step is killed, and whether it goes on to the same bits.

    python -m benchmarks.scale.killed [--rows 100000] [--only train]

Preprocessing and export are killed (SIGKILL) in the middle of writing over an older output, training behind its first
checkpoint; then each is run again. Prints a line for each fact, and ends with 1 if one does not hold.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import h5py
import numpy as np
import typer

from benchmarks.scale.big_log import write_log
from benchmarks.scale.steps import CLI, WORK

_TRAIN = ["--preset", "mmoe", "--epochs", "1", "--batch-size", "1024", "--checkpoint-every", "5"]


def main(
    rows: int = 100_000,
    only: Annotated[str, typer.Option(help="One of preprocess, train, export; all without it.")] = "",
    work: Path = WORK / "killed",
) -> None:
    """Kills each step once."""
    log, data, run, model = (work / name for name in ("log", "data", "run", "model"))
    write_log(log, rows)
    facts: dict[str, bool] = {}
    if only in ("", "preprocess"):
        facts |= _preprocess([*CLI, "preprocess", str(log), "--output", str(data)], data)
    if only in ("", "train"):
        facts |= _train([*CLI, "train", str(data), *_TRAIN, "--output"], run, work / "whole")
    if only in ("", "export"):
        facts |= _export([*CLI, "export", str(run), "--output", str(model)], model)
    for fact, holds in facts.items():
        print(f"{'yes' if holds else 'NO '}  {fact}")
    sys.exit(not all(facts.values()))


def _preprocess(command: list[str], data: Path) -> dict[str, bool]:
    beside = data.parent / f".{data.name}.tfmtl"
    shutil.rmtree(data, ignore_errors=True)
    _run(command)
    before = _checksums(data)
    _run_killed([*command, "--seed", "1"], lambda: any((beside / "partial/train").glob("*.tfrecord")))
    facts = {"preprocessing killed: the old output is there, byte for byte": _checksums(data) == before}
    _run([*command, "--seed", "1"])
    facts["run again: the new output is in its place"] = _checksums(data) != before
    return facts | {"and nothing else lies beside it": not beside.exists()}


def _train(command: list[str], run: Path, whole: Path) -> dict[str, bool]:
    for folder in (run, whole):
        shutil.rmtree(folder, ignore_errors=True)
    _run([*command, str(whole)])
    _run_killed([*command, str(run)], lambda: any(run.glob("unfinished_*/state.zip")))
    facts = {"training killed: there is no model yet": not (run / "model.keras").exists()}
    said = _run([*command, str(run)])
    facts["run again: it goes on"] = "Resumed at epoch" in said
    return facts | {"and ends with the same bits": _same_weights(whole / "model.keras", run / "model.keras")}


def _export(command: list[str], model: Path) -> dict[str, bool]:
    shutil.rmtree(model, ignore_errors=True)
    _run(command)
    before, partial = _checksums(model), model / ".tfmtl-2"
    _run_killed(command, partial.exists)
    left = {name: found for name, found in _checksums(model).items() if not name.startswith(f"{partial.name}/")}
    facts = {"export killed: the old version is there, byte for byte, and no other": left == before}
    _run(command)
    facts["run again: the new version is whole"] = (model / "2" / "saved_model.pb").is_file()
    return facts | {"and what was left is gone": not partial.exists()}


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout + done.stderr


def _run_killed(command: list[str], is_time: Callable[[], bool]) -> None:
    """Starts a command in a group of its own and kills the group as soon as `is_time`."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while not is_time():
        if process.poll() is not None:
            sys.exit(f"{' '.join(command)} ended before it could be killed")
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _checksums(folder: Path) -> dict[str, int]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in ("lock", ".tfmtl.lock"))
    return {str(path.relative_to(folder)): zlib.crc32(path.read_bytes()) for path in files}


def _same_weights(one: Path, other: Path) -> bool:
    weights = []
    for path in (one, other):
        folder = path.with_suffix(".unpacked")
        shutil.unpack_archive(path, folder, "zip")
        found: dict[str, np.ndarray] = {}
        with h5py.File(folder / "model.weights.h5") as file:
            file.visititems(lambda name, each, found=found: _keep(found, name, each))
        weights.append(found)
    return weights[0].keys() == weights[1].keys() and all(
        np.array_equal(values, weights[1][name], equal_nan=values.dtype.kind == "f")
        for name, values in weights[0].items()
    )


def _keep(found: dict[str, np.ndarray], name: str, each: h5py.Dataset | h5py.Group) -> None:
    if isinstance(each, h5py.Dataset):
        found[name] = each[()]


if __name__ == "__main__":
    typer.run(main)
