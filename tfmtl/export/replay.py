"""Replaying an exported version's golden requests; `verify` runs this file in a process of its own."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfmtl.export.raw_batch import to_examples, to_tensors
from tfmtl.export.verify import Verification


def replay(version: Path) -> Verification:
    """Sends the golden requests through both signatures and compares with the golden answers.

    Raises:
        ValueError: there are no golden requests.
    """
    path = version / "assets.extra" / "golden.jsonl"
    golden = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    if not golden:
        raise ValueError(f"'{path}' holds no request")
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
