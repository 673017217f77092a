"""The compared sides, and the Python that runs each."""

import subprocess
import sys
import venv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEEPCTR = "DeepCTR 0.9.4"
TORCH_RECHUB = "torch-rechub 0.9.0"


@dataclass(frozen=True)
class Side:
    """One row of the table.

    Args:
        name: str. As the table shows it.
        script: str. File in `sides/`.
        options: mapping. What the script is told.
        requirements: versions that its own virtual environment gets; none for the project's environment.
        environment: environment variables for its process.
        trains: bool. Whether it is a model, with predictions on the test file.
    """

    name: str
    script: str
    options: dict[str, Any] = field(default_factory=dict)
    requirements: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    trains: bool = True


_DEEPCTR = ("deepctr==0.9.4", "tensorflow==2.21.0", "tf_keras==2.21.0")
_TORCH_RECHUB = ("torch-rechub==0.9.0", "torch==2.13.0")
_BFLOAT16 = {"policy": "mixed_bfloat16"}

SIDES = (
    Side(DEEPCTR, "deepctr_mmoe.py", {}, _DEEPCTR),
    # Threads that spin while they wait multiply torch's time tenfold where anything else runs on the machine.
    Side(TORCH_RECHUB, "torch_rechub_mmoe.py", {}, _TORCH_RECHUB, {"OMP_WAIT_POLICY": "passive"}),
    Side("tfmtl", "tfmtl_mmoe.py"),
    Side("tfmtl, jit_compile", "tfmtl_mmoe.py", {"jit_compile": True}),
    Side(
        "tfmtl, jit_compile, 32 steps an execution", "tfmtl_mmoe.py", {"jit_compile": True, "steps_per_execution": 32}
    ),
    Side("tfmtl, bfloat16", "tfmtl_mmoe.py", _BFLOAT16),
    Side("tfmtl, bfloat16, jit_compile", "tfmtl_mmoe.py", {**_BFLOAT16, "jit_compile": True}),
    Side("DeepCTR 0.9.4, jit_compile", "deepctr_mmoe.py", {"jit_compile": True}, _DEEPCTR),
    Side("products alone, float32", "plain_product.py", {"dtype": "float32"}, trains=False),
    Side("products alone, bfloat16", "plain_product.py", {"dtype": "bfloat16"}, trains=False),
)


def interpreter(side: Side, work: Path) -> Path:
    """The Python of a side; makes its virtual environment under `work` if that is not there."""
    if not side.requirements:
        return Path(sys.executable)
    environment = work / side.requirements[0]
    python = environment / "bin" / "python"
    complete = environment / "requirements.txt"  # written last, so that an interrupted installation is done again
    wanted = "\n".join(side.requirements)
    if not complete.is_file() or complete.read_text() != wanted:
        venv.create(environment, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *side.requirements], check=True)
        complete.write_text(wanted)
    return python
