"""Solved problems as files: one `.npz` with the arrays, and a manifest that says what they are."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfmtl.core.whole_file import whole_file
from tfmtl.operators import OperatorData

DATA_FILE, MANIFEST_FILE = "data.npz", "manifest.json"


def store(folder: Path, splits: Mapping[str, OperatorData], facts: Mapping[str, Any]) -> None:
    """Writes `data.npz` and `manifest.json`, each whole or not at all.

    Args:
        folder: where to; made if it is not there.
        splits: name of a split -> its samples.
        facts: what the manifest says besides: equation, seeds, solver error.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, np.ndarray] = {}
    sizes: dict[str, dict[str, int]] = {}
    for split, data in splits.items():
        arrays |= {f"{split}/inputs/{name}": values for name, values in data.inputs.items()}
        arrays |= {f"{split}/points": data.points, f"{split}/targets": data.targets, f"{split}/tasks": data.tasks}
        if data.mask is not None:
            arrays[f"{split}/mask"] = data.mask
        sizes[split] = {name: int(np.sum(data.tasks == number)) for number, name in enumerate(data.task_names)}
    with whole_file(folder / DATA_FILE) as path, path.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    manifest = {**facts, "samples": sizes, "points": {split: len(data.points) for split, data in splits.items()}}
    with whole_file(folder / MANIFEST_FILE) as path:
        path.write_text(json.dumps(manifest, indent=1) + "\n")


def stored(folder: Path) -> dict[str, OperatorData]:
    """Reads what `store` wrote: name of a split -> its samples."""
    sizes = json.loads((folder / MANIFEST_FILE).read_text())["samples"]
    splits = {}
    with np.load(folder / DATA_FILE, allow_pickle=False) as arrays:
        for split, tasks in sizes.items():
            prefix = f"{split}/inputs/"
            splits[split] = OperatorData(
                {name.removeprefix(prefix): arrays[name] for name in arrays.files if name.startswith(prefix)},
                arrays[f"{split}/points"],
                arrays[f"{split}/targets"],
                tuple(tasks),
                arrays[f"{split}/tasks"],
                arrays[f"{split}/mask"] if f"{split}/mask" in arrays.files else None,
            )
    return splits
