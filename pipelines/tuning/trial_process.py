"""Train one trial of a search in a process of its own, and ask after every validation whether to go on.

The job is the first line of the standard input, each answer another one. Whoever asks has ended when the input ends,
and then the process does, too: a search that was killed leaves no training behind.
"""

import json
import os
import queue
import sys
import threading
from collections.abc import Mapping
from typing import Any, TextIO

import keras

from tfmtl.data import PreparedData
from tfmtl.training import TrainOptions, fit

GO_ON, STOP = "go on", "stop"


class AskAfterEveryEpoch(keras.callbacks.Callback):
    """Tells the metric of every validation and stops training where it is told to.

    Args:
        monitor: str. The metric.
        out: where to tell: a line of JSON, `epoch` and `value`.
        answers: what was answered, one line each.
    """

    def __init__(self, monitor: str, out: TextIO, answers: "queue.Queue[str]") -> None:
        super().__init__()
        self._monitor, self._out, self._answers = monitor, out, answers

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        value = float((logs or {})[self._monitor])
        print(json.dumps({"epoch": epoch, "value": value}), file=self._out, flush=True)
        if self._answers.get() == STOP:
            self.model.stop_training = True


def run_trial(job: Mapping[str, Any], out: TextIO, answers: "queue.Queue[str]") -> None:
    """Trains, and tells at the end `{"history": [...]}`, the metric of every validation, or `{"error": "..."}`.

    Args:
        job: `data`, `output`, `options` (of `TrainOptions`, with `monitor`).
        out: where to tell.
        answers: what was answered.
    """
    try:
        options = TrainOptions(**job["options"])
        ask = AskAfterEveryEpoch(str(options.monitor), out, answers)
        fit(PreparedData(job["data"]), job["output"], options, callbacks=[ask], verbose=2)
        from tfmtl.folders import TrainedRun

        told = {"history": TrainedRun(job["output"]).read_record("tune")["history"][options.monitor]}
    except Exception as error:
        told = {"error": str(error).splitlines()[0] if str(error) else type(error).__name__}
    print(json.dumps(told), file=out, flush=True)


def main() -> None:
    """Does the job that the standard input names; what is printed meanwhile goes to the standard error."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    answers: queue.Queue[str] = queue.Queue()
    job = json.loads(sys.stdin.readline())

    def listen() -> None:
        for line in sys.stdin:
            answers.put(line.strip())
        os._exit(1)  # who asked is gone

    threading.Thread(target=listen, daemon=True).start()
    run_trial(job, out, answers)
    os._exit(0)  # the listener still waits


if __name__ == "__main__":
    main()
