"""What trains a trial of a search, without TensorFlow: three validations whose values follow from the options.

python -m tests.support.toy_trial
"""

import json
import math
import sys
from pathlib import Path


def main() -> None:
    """Speaks as `tfmtl.pipelines.tuning.trial_process` does."""
    job = json.loads(sys.stdin.readline())
    options, output = job["options"], Path(job["output"])
    if options["optimizer"] == "sgd":
        print(json.dumps({"error": "sgd is not for toys."}), flush=True)
        return
    least = 0.1 + 0.1 * abs(math.log10(options["learning_rate"]) + 3.0)
    history: list[float] = []
    for epoch in range(3):
        history.append(least + 0.1 / (epoch + 1))
        print(json.dumps({"epoch": epoch, "value": history[-1]}), flush=True)
        if sys.stdin.readline().strip() == "stop":
            break
    output.mkdir(parents=True, exist_ok=True)
    (output / "model.keras").write_text("a model")
    record = {"data": job["data"], "options": options, "history": {options["monitor"]: history}}
    (output / "run.json").write_text(json.dumps({"format": 1, **record}))
    print(json.dumps({"history": history}), flush=True)


if __name__ == "__main__":
    main()
