"""Trains every preset with two checkouts and compares their weights bit for bit.

python tests/golden/compare_weights.py <checkout> <other checkout> [preset ...]
"""

import inspect
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
VARIANTS: dict[str, dict[str, Any]] = {
    "": {},
    "pcgrad": {"balancing": "pcgrad"},
    "pcgrad_representation": {"balancing": "pcgrad", "balance_at": "representation"},
    "uncertainty": {"balancing": "uncertainty"},
    "sam": {"sharpness": "sam"},
    "asam_xla": {"sharpness": "asam", "jit_compile": True},
}
WITH_VARIANTS = "mmoe"


def train(checkout: str, folder: Path, presets: list[str]) -> None:
    """Trains with the checkout's code and writes the weights of every preset and variant."""
    import keras
    import tensorflow as tf

    from tests.golden.record import small_options
    from tfmtl.data import PreparedData
    from tfmtl.models import PRESETS, MultiTaskModel, from_preset

    assert Path(inspect.getfile(MultiTaskModel)).is_relative_to(checkout)
    tf.config.experimental.enable_op_determinism()
    data = PreparedData(HERE / "data")
    for preset in presets or PRESETS:
        for variant, arguments in VARIANTS.items():
            if variant and preset != WITH_VARIANTS:
                continue
            keras.utils.set_random_seed(3)
            dropout = {"dropout": 0.2} if preset != "dephn" else {}
            model = from_preset(preset, data.inputs, **small_options(preset), **dropout)
            model.compile(**arguments)
            model.fit(data.train_epochs(32, 7).take(6), steps_per_epoch=6, epochs=1, verbose=0)
            values = {str(number): np.asarray(weight) for number, weight in enumerate(model.weights)}
            np.savez(folder / f"{preset}{variant and '_'}{variant}.npz", **values)


def main(checkouts: list[str], presets: list[str]) -> int:
    """The number of runs that differ."""
    with tempfile.TemporaryDirectory() as scratch:
        folders = [Path(scratch, str(number)) for number in range(len(checkouts))]
        for checkout, folder in zip(checkouts, folders, strict=True):
            folder.mkdir()
            place = str(Path(checkout).resolve())
            # `tests.golden` is this checkout's, `tfmtl` the other's.
            script = (
                f"import sys; sys.path[:0] = [{place!r}]; import tfmtl, runpy; "
                f"sys.path[0] = {str(HERE.parents[1])!r}; "
                f"sys.argv = ['x', '--train', {place!r}, {str(folder)!r}, *{presets!r}]; "
                f"runpy.run_path({str(Path(__file__).resolve())!r}, run_name='__main__')"
            )
            subprocess.run(
                [sys.executable, "-c", script],
                check=True,
                env={**os.environ, "PYTHONPATH": "", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
            )
        differing = 0
        for path in sorted(folders[0].iterdir()):
            one, other = np.load(path), np.load(folders[1] / path.name)
            changed = [name for name in one.files if one[name].tobytes() != other[name].tobytes()]
            same = one.files == other.files and not changed
            differing += not same
            print(f"{path.stem:30} {'same' if same else f'differs in {len(changed)} of {len(one.files)} weights'}")
        return differing


if __name__ == "__main__":
    if sys.argv[1] == "--train":
        train(sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
    else:
        sys.exit(main(sys.argv[1:3], sys.argv[3:]))
