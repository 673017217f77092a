"""The Fisher family side by side with DeepXDE: same samples, widths, batch sizes, steps and learning rates.

    python3 -m venv <folder> && <folder>/bin/pip install torch deepxde==1.15.0
    python -m benchmarks.operators.deepxde --python <folder>/bin/python --steps 3000 -o operators_deepxde.jsonl

Each training runs in a process of its own with one thread, one after the other, so that they meet the same machine.
Vanilla and POD networks are alike on both sides, at all 1,280 points per step, as DeepXDE's Cartesian product offers;
the vanilla ones have an activation behind the trunk's last layer. Our default draws 128 points per step and has the
periodic trunk and the initial condition. Both sides use the relative L2 loss, Adam and a cosine decay. A step's
processor time leaves out the first 50 steps. The command goes on where it stopped.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SIDES = Path(__file__).parent / "sides"
KINDS = {"deepxde": ("vanilla", "pod"), "tfmtl": ("vanilla", "pod", "default")}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", required=True, help="Python that has DeepXDE")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    from tfmtl.pipelines.physics.fisher_study import FisherStudy
    from tfmtl.pipelines.physics.study import Setting

    done = set()
    if arguments.output.exists():
        lines = map(json.loads, arguments.output.read_text().splitlines())
        done = {(line["side"], line["kind"], line["seed"]) for line in lines}
    study = FisherStudy(Setting(1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fisher.npz"
        arrays = {}
        for split, data in (("train", study.train_data), ("test", study.test_data)):
            arrays |= {f"{split}_{name}": values for name, values in data.inputs.items()}
            arrays |= {f"{split}_fields": data.targets, f"{split}_tasks": data.tasks, "points": data.points}
        np.savez(path, **arrays, tasks=np.array(study.test_data.task_names))
        for seed in range(arguments.seeds):
            for side, kinds in KINDS.items():
                for kind in kinds:
                    if (side, kind, seed) in done:
                        continue
                    python = arguments.python if side == "deepxde" else sys.executable
                    options = [str(path), kind, str(arguments.steps), str(seed), str(arguments.rate)]
                    result = subprocess.run(
                        [python, str(SIDES / f"{side}_side.py"), *options], capture_output=True, text=True, check=True
                    )
                    record = {"side": side, "kind": kind, "seed": seed, **json.loads(result.stdout.splitlines()[-1])}
                    with arguments.output.open("a") as file:
                        file.write(json.dumps(record) + "\n")
                    print(record, flush=True)


if __name__ == "__main__":
    main()
