"""tfmtl beside DeepCTR and torch-rechub: MMoE of the same sizes, trained on Census-Income, or with DIN on MovieLens.

    python -m benchmarks.speed.peers <folder with the Census-Income files>
    python -m benchmarks.speed.peers <log.parquet of movielens_100k> --output docs/results/speed_peers_histories.md

A round trains every side once, one after another, each in a process of its own, a fresh model of the round's seed: some
steps to warm up, then one epoch that is timed, then the test file. All sides get the same ids in the same order,
whole batches that lie ready in memory, and the same number of threads; each is trained in the way its documentation
shows. Rounds make slow spells meet all sides; ratios are medians over rounds.

The peers' virtual environments are made on the first run, in `benchmarks/.work`. A side that cannot be installed or run
stops the benchmark with the reason.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.speed.peer_data import encode
from benchmarks.speed.peer_sequences import encode_sequences
from benchmarks.speed.peer_sides import SIDES, Side, interpreter
from benchmarks.speed.peer_table import peer_table
from tfmtl.metrics import roc_auc

_ROOT = Path(__file__).parents[2]
_WORK = _ROOT / "benchmarks" / ".work" / "peers"
_SIZES: dict[str, Any] = {
    "embedding_dim": 16,
    "num_experts": 8,
    "expert_units": [128, 64],
    "tower_units": [64],
    "attention_units": [32],
    "batch_size": 1024,
    "learning_rate": 1e-3,
    "warm_up_steps": 32,
}


def main(
    source: Annotated[Path, typer.Argument(help="Where the Census-Income files lie, or MovieLens's log.parquet.")],
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    threads: int = 2,
    only: Annotated[
        str, typer.Option(help="Parts of the names of the sides to run, as in `Deep|rechub`; all without it.")
    ] = "",
    output: Annotated[Path, typer.Option(help="Of the table; the runs go beside it as .jsonl.")] = (
        _ROOT / "docs" / "results" / "speed_peers.md"
    ),
) -> None:
    """Trains all sides in turn and writes the table."""
    _WORK.mkdir(parents=True, exist_ok=True)
    arrays = _WORK / "arrays.npz"
    encoded = encode_sequences(source, arrays) if source.suffix == ".parquet" else encode(source, arrays)
    task = {**encoded, **_SIZES, "threads": threads, "arrays": str(arrays)}
    task_file = _WORK / "task.json"
    task_file.write_text(json.dumps(task))
    test_labels = np.load(arrays)["test_labels"]
    output.parent.mkdir(parents=True, exist_ok=True)
    sides = [side for side in SIDES if any(part in side.name for part in only.split("|"))]
    runs = []
    for seed in range(rounds):
        for side in sides:
            record = {"side": side.name, "round": seed, **_run(side, task_file, seed)}
            if side.trains:
                scores = np.load(_WORK / "predictions.npy")
                record["auc"] = [roc_auc(test_labels[:, k], scores[:, k]) for k in range(len(task["tasks"]))]
            runs.append(record)
            print(json.dumps(record), flush=True)
        table = peer_table(task, runs, rounds=seed + 1)  # after every round, so that an interrupted run has its table
        output.with_suffix(".jsonl").write_text("".join(json.dumps(run) + "\n" for run in runs))
        output.write_text(table)
    print(f"\n{table}")


def _run(side: Side, task_file: Path, seed: int) -> dict[str, Any]:
    """One process, alone on the machine as far as this benchmark goes."""
    script = Path(__file__).parent / "sides" / side.script
    command = [interpreter(side, _WORK), script, task_file, seed, _WORK / "predictions.npy", json.dumps(side.options)]
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, "PYTHONPATH": str(_ROOT), **side.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{side.name} failed:\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}")
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


if __name__ == "__main__":
    typer.run(main)
