"""Verify an exported version against the training graph, in a separate process."""

import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tfmtl.folders import ExportedVersion

TOLERANCE = 1e-5


class VerificationError(RuntimeError):
    """An exported version does not answer as the training graph did, or does not answer at all."""


@dataclass(frozen=True)
class Verification:
    """The result of `verify`.

    Args:
        requests: int. Number of stored real requests that were asked again.
        differences: dict of signature to float. Largest difference over all outputs and requests: absolute for values
            up to 1, relative above.
    """

    requests: int
    differences: dict[str, float]

    @property
    def largest(self) -> float:
        """Largest difference over all signatures; NaN if any is."""
        return max(self.differences.values(), key=lambda value: math.inf if math.isnan(value) else value)


def verify(version: str | Path, tolerance: float = TOLERANCE) -> Verification:
    """Loads an exported version in a fresh process, replays its golden requests and compares.

    The golden requests of an operator network are those recorded for its server's warm-up. The golden answers of a
    version with small tables (`ExportOptions.tables`) are the training graph's with the same tables, so that the
    tolerance is the same; what the tables change is in its `tables.json`.

    The process has TensorFlow and the files, none of tfmtl's models and layers: what answers is what a server loads.

    Args:
        version: str or Path. The folder of the version, `<directory>/<version>`, as `export` returned it.
        tolerance: float. Largest difference allowed: absolute for values up to 1, relative above. Defaults to `1e-5`.

    Raises:
        VerificationError: no version there, it does not load, or a difference above `tolerance`.
        FolderError: a later version of the package wrote it.
    """
    folder = ExportedVersion(version)
    is_operator = folder.operator.is_file()
    for file in (folder.saved_model, folder.warmup if is_operator else folder.golden):
        if not file.is_file():
            raise VerificationError(
                f"verify: `version` must be a directory that export() wrote. Received: version='{version}', "
                f"which has no {folder.relative(file)}. Give <directory>/<version>."
            )
    folder.check_format("verify")
    module = "tfmtl.export.replay_recorded" if is_operator else "tfmtl.export.replay"
    command = [sys.executable, "-m", module, str(version)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        lines = result.stderr.strip().splitlines()
        raise VerificationError(f"verify: '{version}' could not be replayed: {lines[-1] if lines else 'no message'}")
    verification = Verification(**json.loads(result.stdout.splitlines()[-1]))
    if not verification.largest <= tolerance:
        raise VerificationError(
            f"verify: '{version}' must answer as the training graph did, within {tolerance:g}. Received: "
            f"differences={verification.differences}. Do not serve it; compare the data folder with the model's."
        )
    return verification
