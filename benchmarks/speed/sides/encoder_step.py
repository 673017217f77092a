"""One side of `encoder_step`: makes steps when told to, and says what they cost.

Standard input has a line a task, `<name> <steps>`; standard output answers with a line of JSON: processor seconds a
step, and by how many megabytes the process has grown since before its first step.
"""

import json
import resource
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from tfmtl.pipelines.cli.quiet_start import start_tensorflow


def main() -> None:
    """Reads what to make ready from its argument, JSON, and then the tasks."""
    arguments = json.loads(sys.argv[1])
    start_tensorflow()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(arguments["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(arguments["threads"])
    steps = _long_step(**arguments["sizes"]) if "sizes" in arguments else _model_steps(**arguments["models"])
    started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for step in steps.values():
        step(2)
    print("ready", flush=True)
    for line in sys.stdin:
        name, count = line.rsplit(maxsplit=1)
        before = resource.getrusage(resource.RUSAGE_SELF)
        steps[name](int(count))
        after = resource.getrusage(resource.RUSAGE_SELF)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(json.dumps([seconds / int(count), (after.ru_maxrss - started) / 1024]), flush=True)


def _model_steps(folder: str, batch_size: int, models: dict[str, list[Any]]) -> dict[str, Callable[[int], None]]:
    """Training steps of models on the first batches of prepared data."""
    from itertools import islice

    from tfmtl.data import PreparedData
    from tfmtl.models import from_preset

    data = PreparedData(folder)
    batches = list(islice(data.train(batch_size), 6))

    def stepper(preset: str, options: dict[str, Any]) -> Callable[[int], None]:
        model = from_preset(preset, data.inputs, **options)
        model.compile()
        model.make_train_function()

        def step(count: int) -> None:
            for index in range(count):
                # As `fit` does. `train_on_batch` also computes every metric's result, which takes as long as a step.
                model.train_function(iter([batches[index % len(batches)]]))

        return step

    return {name: stepper(*model) for name, model in models.items()}


def _long_step(
    batch: int, tasks: int, behaviors: int, length: int, width: int, **arguments: Any
) -> dict[str, Callable[[int], None]]:
    """Forward and backward pass of the encoder alone, on sequences of every length alike: half filled."""
    import tensorflow as tf

    from tfmtl.layers import HyperSequenceEncoder

    generator = np.random.default_rng(0)
    counts = generator.integers(0, length + 1, (batch, behaviors))
    events = tf.constant(generator.normal(size=(batch, behaviors, length, width)), tf.float32)
    mask = tf.constant(np.arange(length) < counts[..., None])
    queries = tf.constant(generator.normal(size=(batch, behaviors, width)), tf.float32)
    layer = HyperSequenceEncoder(tasks, use_skip=True, **arguments)
    inputs = {"events": events, "event_mask": mask, "queries": queries}
    layer.build({key: value.shape for key, value in inputs.items()})

    @tf.function(autograph=False)
    def pass_(given: tf.Tensor) -> list[tf.Tensor]:
        sources = [given, *(weight.value for weight in layer.trainable_weights)]
        with tf.GradientTape() as tape:
            tape.watch(given)
            loss = tf.reduce_sum(tf.square(layer({**inputs, "events": given})))
        gradients = tape.gradient(loss, sources, unconnected_gradients="zero")
        return [tf.reduce_sum(tf.convert_to_tensor(each)) for each in gradients]

    def step(count: int) -> None:
        for _ in range(count):
            pass_(events)

    return {"long": step}


if __name__ == "__main__":
    main()
