"""Checking an exported version against the training graph, in a process of its own."""

import json
import math
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

TOLERANCE = 1e-5


class VerificationError(RuntimeError):
    """An exported version does not answer as the training graph did, or does not answer at all."""


@dataclass(frozen=True)
class Verification:
    """What `verify` found.

    Args:
        requests: int. Golden requests replayed.
        differences: signature -> largest absolute difference over all tasks and requests.
    """

    requests: int
    differences: dict[str, float]

    @property
    def largest(self) -> float:
        """Largest absolute difference over all signatures; NaN if any is."""
        return max(self.differences.values(), key=lambda value: math.inf if math.isnan(value) else value)


def verify(version: str | Path, tolerance: float = TOLERANCE) -> Verification:
    """Loads an exported version in a fresh process, replays its golden requests and compares.

    The process imports TensorFlow only, neither Keras models nor tfmtl's layers: what answers is what a server loads.

    Args:
        version: `<directory>/<version>` as `export` returned it.
        tolerance: largest absolute difference allowed. Defaults to `1e-5`.

    Raises:
        VerificationError: no version there, it does not load, or a difference above `tolerance`.
    """
    command = [sys.executable, "-m", "tfmtl.export.verify", str(version)]
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


def replay(version: Path) -> Verification:
    """Replays the golden requests in this process."""
    import numpy as np
    import tensorflow as tf

    from tfmtl.export.raw_batch import to_examples, to_tensors

    path = version / "assets.extra" / "golden.jsonl"
    if not path.is_file():
        raise FileNotFoundError(f"no golden requests at '{path}'; give <directory>/<version> of an export")
    golden = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    requests = [item["features"] for item in golden]
    loaded = tf.saved_model.load(str(version))
    serve, serve_examples = loaded.signatures["serving_default"], loaded.signatures["serve_examples"]
    signature: dict[str, Any] = serve.structured_input_signature[1]
    answers = {
        "serving_default": serve(**to_tensors(requests, signature)),
        "serve_examples": serve_examples(examples=tf.constant(to_examples(requests, signature))),
    }
    differences = {}
    for name, outputs in answers.items():
        gaps = [
            np.max(np.abs(outputs[task].numpy() - [item["response"][task] for item in golden]))
            for task in golden[0]["response"]
        ]
        differences[name] = float(np.max(gaps))
    return Verification(len(golden), differences)


if __name__ == "__main__":
    try:
        print(json.dumps(asdict(replay(Path(sys.argv[1])))))
    except Exception as error:  # whatever it is, the caller reports it in one line
        sys.exit(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else error!r}")
