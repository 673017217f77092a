"""How far our gradient aggregators lie from TorchJD's, on random matrices.

TorchJD and PyTorch get a virtual environment of their own in `benchmarks/.work/torchjd`, made on the first run (several
gigabytes), and aggregate there what is written to a file; `torchjd_side.py` says how the conventions differ.

    python -m benchmarks.quality.torchjd_agreement
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np

from tfmtl.balancing import BALANCERS, GradVac, PCGrad

WORK = Path(__file__).parents[1] / ".work"
PACKAGES = ("torch", "torchjd[full]")
SCALES = {
    "cagrad": "ours is divided by 1 + alpha^2",
    "mgda": "ours is T times theirs",
    "nash_mtl": "theirs without its bound on the norm",
    "aligned_mtl": "ours is T times theirs",
}


def environment() -> Path:
    """The Python that has TorchJD."""
    python = WORK / "torchjd" / "bin" / "python"
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", str(WORK / "torchjd")], check=True)
    if subprocess.run([str(python), "-c", "import torchjd"], capture_output=True, check=False).returncode:
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return python


def matrices(repeats: int) -> dict[str, np.ndarray]:
    """Gradients of 2 to 8 tasks, from conflict in most pairs to none."""
    random = np.random.default_rng(0)
    return {
        f"{tasks} tasks, shared part {shared}, {repeat}": random.normal(size=(tasks, 20))
        + shared * random.normal(size=20)
        for tasks in (2, 3, 5, 8)
        for shared in (0.0, 0.5, 2.0)
        for repeat in range(repeats)
    }


def ours(name: str, matrix: np.ndarray) -> np.ndarray:
    """Our aggregation; of GradVac the third of three alike, as on the other side."""
    if name == "gradvac":
        vaccine = GradVac(decay=0.5)
        return [vaccine.aggregate(matrix).numpy() for _ in range(3)][-1]
    return (PCGrad() if name == "pcgrad" else BALANCERS[name]()).aggregate(matrix).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="matrices of each kind")
    chosen = parser.parse_args()
    python = environment()
    tried, given, returned = matrices(chosen.repeats), WORK / "matrices.npz", WORK / "torchjd.npz"
    np.savez(given, **tried)
    side = Path(__file__).with_name("torchjd_side.py")
    subprocess.run([str(python), str(side), str(given), str(returned)], check=True)
    differences: dict[str, list[float]] = {}
    with np.load(returned) as theirs:
        for entry in theirs:
            label, key = entry.split("/", 1)
            name = label.split(",")[0]
            difference = np.linalg.norm(ours(name, tried[key]) - theirs[entry]) / np.linalg.norm(theirs[entry])
            differences.setdefault(label, []).append(float(difference))
    version = "import torchjd, importlib.metadata as m; print(m.version('torchjd'), 'on PyTorch', m.version('torch'))"
    print("TorchJD", subprocess.run([str(python), "-c", version], capture_output=True, text=True, check=True).stdout)
    print("| method | matrices | largest relative difference | median | scales made equal by |\n|---|---|---|---|---|")
    for label, values in differences.items():
        scale = SCALES.get(label.split(",")[0], "the same scale")
        print(f"| {label} | {len(values)} | {max(values):.1e} | {np.median(values):.1e} | {scale} |")


if __name__ == "__main__":
    main()
